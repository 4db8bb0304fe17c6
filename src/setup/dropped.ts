import { formatCount } from "../console/progress.ts";
import type { Dropped } from "../tables/dropped.ts";

/** What retention has dropped, for people. */
export function describeDropped(dropped: Dropped): string {
  const { before, readings, too_late, duplicate, rejected } = dropped;
  const kinds = [
    `${formatCount(readings)} readings`,
    `${formatCount(too_late)} too late`,
    `${formatCount(duplicate + rejected)} rejected or repeated`,
  ];
  return `${kinds.join(", ")}, of days before ${before}; the sums of their days are kept`;
}
