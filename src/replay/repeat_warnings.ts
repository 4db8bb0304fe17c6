import type { Warning } from "./records.ts";
import type { Repeats } from "./whole_series.ts";

/** Of a meter's readings: from here on its repeats have one cause. */
const REPEATED_SHARE = 0.05;
const CONFLICTING_SHARE = 0.1;
/** So many times in a row there twice are a piece of history that was sent again. */
const STRETCH_MIN = 12;
/** Of a meter's repeats: if so many say the same, the others were revised. */
const IDENTICAL_SHARE = 0.5;
const SHOWN_METERS_MAX = 3;

/** What a meter sent more than once, beside what was accepted of it. */
export type MeterRepeats = {
  readonly meterId: string;
  readonly readings: number;
  /** The same values again. */
  readonly identical: number;
  /** Other values for intervals that were taken. */
  readonly conflicting: number;
};

function shown(ids: readonly string[]): string {
  return ids.slice(0, SHOWN_METERS_MAX).join(", ") + (ids.length > SHOWN_METERS_MAX ? ", …" : "");
}

/** What repeats come of; `repeats`: how they stand in the files, null: that is not known. */
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
