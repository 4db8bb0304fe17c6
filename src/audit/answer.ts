import type { Decided } from "../formats/decided.ts";

/* What an audit answers, as `gridwatch audit --json` prints it. Times are ISO 8601 in UTC with `Z`. */

/** Readings that found their slot taken: by the same value, or by another. */
export type Duplicates = { identical: number; conflicting: number };

/** What a verdict may fail by. */
export type Check =
  | "gap_at_start"
  | "gap_at_end"
  | "gap_inside"
  | "day_complete"
  | "month_complete";

/** One series. The numbers of slots are null where its interval cannot be told: `unjudged` says why. */
export type SeriesAnswer = {
  readonly meter_id: string;
  readonly channel: string | null;
  readonly interval_minutes: number | "month" | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly expected: number | null;
  readonly present: number;
  readonly missing: number | null;
  readonly gaps: number | null;
  readonly completeness_percent: number | null;
  readonly duplicates: Duplicates;
  readonly rejected: Readonly<Record<string, number>>;
  readonly flags: Readonly<Record<string, number>>;
  /** Slots between its last one and the end of the input; between the input's beginning and its first. */
  readonly ended_early: number;
  readonly started_late: number;
  readonly unjudged: string | null;
};

/** One gap, as the longest of all is told. */
export type GapAnswer = {
  readonly meter_id: string;
  readonly channel: string | null;
  readonly missing_from: string;
  readonly missing_to: string;
  readonly missing_intervals: number;
};

/** Something that a person should know; `meters`: the first of those that it is about. */
export type WarningAnswer = {
  readonly code: string;
  readonly text: string;
  readonly meters?: readonly string[];
};

/** The whole answer. */
export type AuditAnswer = {
  readonly verdict: { readonly pass: boolean; readonly failed: readonly Check[] };
  /** rows = accepted + identical + conflicting + rejected. */
  readonly rows: number;
  readonly accepted: number;
  readonly series_count: number;
  readonly from: string | null;
  readonly to: string | null;
  readonly decided: Decided;
  /** How many series end with each interval. */
  readonly interval_minutes: Readonly<Record<string, number>>;
  readonly expected_intervals: number;
  readonly present_intervals: number;
  readonly missing_intervals: number;
  readonly gaps: number;
  readonly completeness_percent: number | null;
  /** The same with what follows a series' last reading, up to the end of the input. */
  readonly completeness_with_silence_percent: number | null;
  readonly duplicates: Duplicates;
  readonly rejected: Readonly<Record<string, number>>;
  readonly flags: Readonly<Record<string, number>>;
  readonly longest_gap: GapAnswer | null;
  /** Gaps of two series or more that begin at one time, the most series first. */
  readonly shared_gaps: readonly { readonly at: string; readonly series: number }[];
  /** Days of all series, by the zone, each from its first reading to its last. */
  readonly days: { readonly complete: number; readonly partial: number; readonly missing: number };
  readonly clock_changes: readonly {
    readonly at: string;
    readonly kind: "spring" | "autumn";
    readonly series: number;
  }[];
  readonly interval_changes: readonly {
    readonly meter_id: string;
    readonly channel: string | null;
    readonly at: string;
    readonly from: number | "month";
    readonly to: number | "month";
  }[];
  readonly warnings: readonly WarningAnswer[];
  readonly series: readonly SeriesAnswer[];
};
