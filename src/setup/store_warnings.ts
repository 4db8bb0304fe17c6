import type { Inspection, Warning } from "../replay/records.ts";
import { warningsOfRepeats } from "../replay/repeat_warnings.ts";
import type { Reader } from "../tables/query.ts";
import { readIntervalNews, readRepeats } from "../tables/repeats.ts";

/** Fewer repeats of a meter are the odd ones that every source has. */
const REPEATS_MIN = 10;
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
