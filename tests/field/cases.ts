/** The field cases, and the right answers of their README. */
import type { PlayOptions } from "./play.ts";

const DAY = "2013-05-0";

/** What is right of a case; whatever order its rows stand in, unless that is what it is about. */
export type Right = {
  readonly options?: PlayOptions;
  readonly counts: Record<string, number>;
  readonly gaps?: readonly string[];
  readonly warnings?: readonly string[];
  /** Its rows have no order of their own that matters. */
  readonly anyOrder?: boolean;
};

const LONDON = { settings: { timezone: "Europe/London" } } as const;

export const CASES: Readonly<Record<string, Right>> = {
  ten_day_hole: {
    counts: { OK: 960 },
    gaps: ["A@2013-05-11T00:00:00Z 480 CLOSED"],
    warnings: ["no_offset"],
    anyOrder: true,
  },
  to15: {
    counts: { OK: 288 },
    warnings: ["interval_changed", "no_offset"],
    anyOrder: true,
  },
  to30_auto: {
    counts: { OK: 288 },
    warnings: ["interval_changed", "no_offset"],
    anyOrder: true,
  },
  jit_grid_missing0: { counts: { OK: 960 }, warnings: ["no_offset"], anyOrder: true },
  drift: { counts: { OK: 1440 }, warnings: ["no_offset"], anyOrder: true },
  dst_autumn_zone: { options: LONDON, counts: { OK: 144 }, warnings: [] },
  label_2400: { counts: { OK: 144 }, warnings: ["no_offset"], anyOrder: true },
  two_registers: { counts: { OK: 96, CONFLICT: 96 }, warnings: ["no_offset"] },
  null_tail: {
    counts: { OK: 96, BAD_VALUE: 48 },
    gaps: [`A@${DAY}3T00:00:00Z 48 OPEN rejected 48`],
    warnings: ["no_offset"],
    anyOrder: true,
  },
  year_typo_past: {
    counts: { OK: 96, TOO_OLD: 1 },
    warnings: ["no_offset", "too_old_rows"],
    anyOrder: true,
  },
  "03-edf-doubles-offgrid": {
    counts: { OK: 48, DUPLICATE: 24, CONFLICT: 2 },
    warnings: ["no_offset"],
    anyOrder: true,
  },
  "10-wrong-clock": {
    counts: { OK: 45, TOO_OLD: 3 },
    gaps: ["VZ1@2021-04-20T10:00:00Z 3 CLOSED"],
    warnings: ["no_offset", "too_old_rows"],
    anyOrder: true,
  },
  "22-daily-row-2359": {
    counts: { OK: 289, CONFLICT: 2 },
    warnings: ["no_offset"],
    anyOrder: true,
  },
  "24-invisible-ids": {
    counts: { OK: 48 },
    gaps: ["INV1@2024-01-01T07:30:00Z 1 CLOSED", "INV1@2024-01-01T17:30:00Z 1 CLOSED"],
    warnings: ["unjudged", "no_offset", "look_alike_ids"],
    anyOrder: true,
  },
};
