import type { Inspection, Warning } from "../replay/records.ts";
import { warningsOfRepeats } from "../replay/repeat_warnings.ts";
import { idOf } from "./audit.ts";
import type { AuditSum } from "./sum.ts";

/** Fewer repeats of a meter are the odd ones that every source has. */
const REPEATS_MIN = 10;
const METERS_MAX = 100;

/** What the readings, as they were judged, make one suspect: the same as of a store at its end. */
export function suspicionsOf(
  { series }: AuditSum,
  { repeats }: Pick<Inspection, "repeats">,
): Warning[] {
  const repeated = series.flatMap((one) => {
    const { accepted, identical, conflicting } = one.walk ?? one.unjudged!;
    return identical + conflicting < REPEATS_MIN
      ? []
      : [{ meterId: idOf(one), readings: accepted, identical, conflicting }];
  });
  const most = repeated.sort((a, b) =>
    b.identical + b.conflicting - a.identical - a.conflicting || (a.meterId < b.meterId ? -1 : 1)
  );
  return warningsOfRepeats(most.slice(0, METERS_MAX), repeats);
}
