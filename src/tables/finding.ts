import type { Digest } from "./digest.ts";

/** One thing that is not as it was written. */
export type Finding = {
  readonly what: string;
  readonly table: string | null;
  readonly partition: number | null;
  /** The day (UTC) of the rows, `2013-01-01`. */
  readonly day: string | null;
};

/** What was found, and where: a place that is left out is not known. */
export function findingOf(what: string, place: Partial<Omit<Finding, "what">>): Finding {
  const { table = null, partition = null, day = null } = place;
  const shown = `${table ?? "the file"}${day === null ? "" : ` on ${day}`}: ${what}`;
  return { what: shown, table, partition, day };
}

/** How the rows found differ from those that were written. */
export function differenceOf(kept: Readonly<Digest>, found: Readonly<Digest>): string {
  return kept.rows === found.rows
    ? `a row of ${found.rows} is not as it was written`
    : `${kept.rows} rows were written, ${found.rows} are there`;
}

const DAY_MS = 86_400_000;

/** A day since 1970 (UTC) for people and JSON. */
export function dayText(day: number): string {
  const date = new Date(day * DAY_MS);
  return Number.isNaN(date.getTime()) ? `day ${day}` : date.toISOString().slice(0, 10);
}
