import type { Inspection, Warning } from "../replay/records.ts";
import type { Repeats } from "../replay/whole_series.ts";
import type { Reader } from "../tables/query.ts";
import { type MeterRepeats, readIntervalNews, readRepeats } from "../tables/repeats.ts";

/** Fewer repeats of a meter are the odd ones that every source has. */
const REPEATS_MIN = 10;
/** Of a meter's readings: from here on its repeats have one cause. */
const REPEATED_SHARE = 0.05;
const CONFLICTING_SHARE = 0.1;
/** So many times in a row there twice are a piece of history that was sent again. */
const STRETCH_MIN = 12;
/** Of a meter's repeats: if so many say the same, the others were revised. */
const IDENTICAL_SHARE = 0.5;
const METERS_MAX = 100;
const SHOWN_METERS_MAX = 3;

/**
 * What only the store tells: what its repeats come of, and of input that was not looked through
 * (`inspection` null) how its intervals were found to be.
 */
export async function storeWarnings(
  reader: Reader,
  inspection: Pick<Inspection, "repeats"> | null,
): Promise<Warning[]> {
  const { changed, contradicted } = await readIntervalNews(reader);
  const repeated = await readRepeats(reader, { repeatsMin: REPEATS_MIN, metersMax: METERS_MAX });
  const meters = repeated.filter(({ meterId }) => !contradicted.includes(meterId));
  const intervals = inspection === null ? intervalWarnings(changed, contradicted) : [];
  return [...warningsOfRepeats(meters, inspection?.repeats ?? null), ...intervals];
}

function intervalWarnings(
  changed: readonly string[],
  contradicted: readonly string[],
): Warning[] {
  const warnings: Warning[] = [];
  if (contradicted.length > 0) {
    warnings.push({
      code: "interval_mismatch",
      text:
        `${countMeters(contradicted)} by other steps than is set: what lies between is judged ` +
        "wrongly, or not at all; GRIDWATCH_EXPECTED_INTERVAL_MINUTES=auto",
      meters: contradicted.slice(0, METERS_MAX),
    });
  }
  if (changed.length > 0) {
    warnings.push({
      code: "interval_changed",
      text: `${countMeters(changed)} by other steps than at first: each part is judged by its own`,
      meters: changed.slice(0, METERS_MAX),
    });
  }
  return warnings;
}

function countMeters(ids: readonly string[]): string {
  return ids.length === 1 ? `meter ${ids[0]} comes` : `${ids.length} meters (${shown(ids)}) come`;
}

function shown(ids: readonly string[]): string {
  return ids.slice(0, SHOWN_METERS_MAX).join(", ") + (ids.length > SHOWN_METERS_MAX ? ", …" : "");
}

/** The same of meters as they were read. */
export function warningsOfRepeats(
  meters: readonly MeterRepeats[],
  repeats: ReadonlyMap<string, Repeats> | null,
): Warning[] {
  const sentAgain = meters.filter((each) => isSentAgain(each, repeats?.get(each.meterId)));
  const twoChannels = meters.filter((each) => isTwoChannels(each, repeats));
  return [
    warningOf("sent_again", sentAgain, "the same values once more: the first are kept"),
    warningOf(
      "two_channels",
      twoChannels,
      "other values for the same times, of which the first are kept: give each channel an id of " +
        "its own",
    ),
  ].filter((warning) => warning !== null);
}

function isMostlyIdentical({ identical, conflicting }: MeterRepeats): boolean {
  return identical >= IDENTICAL_SHARE * (identical + conflicting);
}

function isSentAgain(meter: MeterRepeats, inFiles: Repeats | undefined): boolean {
  const isMuch = meter.identical >= REPEATED_SHARE * meter.readings ||
    (inFiles?.stretch ?? 0) >= STRETCH_MIN;
  return isMuch && isMostlyIdentical(meter);
}

/** A reading beside the grid conflicts with that on it: those are no two at one time. */
function isTwoChannels(
  meter: MeterRepeats,
  repeats: ReadonlyMap<string, Repeats> | null,
): boolean {
  const { meterId, conflicting, identical, readings } = meter;
  if (isMostlyIdentical(meter) || conflicting < CONFLICTING_SHARE * readings) return false;
  if (repeats === null) return true;
  return (repeats.get(meterId)?.rows ?? 0) >= (conflicting + identical) / 2;
}

const QUESTIONS = { sent_again: "sent again", two_channels: "two channels under one id" } as const;

function warningOf(
  code: keyof typeof QUESTIONS,
  meters: readonly MeterRepeats[],
  what: string,
): Warning | null {
  if (meters.length === 0) return null;
  const ids = meters.map(({ meterId }) => meterId);
  const kind = code === "sent_again" ? "identical" : "conflicting";
  const rows = meters.reduce((sum, each) => sum + each[kind], 0);
  const of = ids.length === 1 ? `meter ${ids[0]} has` : `${ids.length} meters (${shown(ids)}) have`;
  return { code, text: `${QUESTIONS[code]}? ${of} ${rows} rows with ${what}`, meters: ids };
}
