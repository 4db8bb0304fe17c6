import type { Finding, Severity } from "./rules/slot_rule.ts";

/**
 * What the processor says. Times are epoch milliseconds here; the adapters write them as ISO 8601
 * (JSON) or timestamptz (SQL). `offset` is the raw record that caused the output.
 */

/** Why a record is no usable reading; the last two: why a usable one is a duplicate. */
export type RejectReason =
  | "MALFORMED"
  | "MISSING_FIELD"
  | "BAD_METER_ID"
  | "BAD_TIMESTAMP"
  | "BAD_VALUE"
  | "NEGATIVE"
  | "TOO_LARGE"
  | "TOO_OLD"
  | "FUTURE"
  | "TOO_MANY_METERS"
  | "DUPLICATE"
  | "CONFLICT";

/**
 * Still growing, ended by a reading, taken by late readings (or never expected), or silent for the
 * time to live: such a gap goes on, and its message says the length that was known then.
 */
export type GapState = "OPEN" | "CLOSED" | "FILLED" | "EXPIRED";

/** An accepted reading. `delayMs` is the watermark minus the timestamp, 0 when on time. */
export type ValidatedReading = {
  readonly offset: number;
  readonly meterId: string;
  readonly timestampMs: number;
  readonly consumptionKwh: number;
  readonly status: "OK" | "LATE";
  readonly flags: readonly string[];
  readonly delayMs: number;
  /** The value that it replaces, where it has the flag REVISES. */
  readonly revisesKwh?: number;
  /** When it arrived at the head end, where it says so. */
  readonly receivedMs?: number;
  /** The quality code that it was delivered with, if any. */
  readonly quality?: string;
};

/** A gap as it stands now. `idMs` is its first `missing_from` and never changes. */
export type GapAlert = {
  readonly offset: number;
  readonly meterId: string;
  readonly idMs: number;
  readonly missingFromMs: number;
  /** The first slot after the gap. */
  readonly missingToMs: number;
  readonly missingIntervals: number;
  /** Of a FILLED gap: the most slots that it ever had. */
  readonly filledIntervals?: number;
  readonly rejectedIntervals: number;
  readonly state: GapState;
  /** The watermark at which this state was found. */
  readonly detectedAtMs: number;
};

/** A reading behind the allowed lateness, or for a slot of which nothing is remembered any more. */
export type LateEvent = {
  readonly offset: number;
  readonly meterId: string;
  readonly timestampMs: number;
  readonly consumptionKwh: number;
  readonly delayMs: number;
};

/** A record that is no usable reading, or whose interval is taken. */
export type RejectedReading = {
  readonly offset: number;
  readonly reason: RejectReason;
  readonly detail: string;
  /** The raw bytes, a copy, cut to the limit. */
  readonly raw: Uint8Array;
  readonly meterId: string | null;
  readonly timestampMs: number | null;
  readonly consumptionKwh: number | null;
  /** Where its row came from, if that was said. */
  readonly source?: string;
  /** Of a duplicate: the interval that is taken, and the value that holds it. */
  readonly slotMs?: number;
  readonly heldKwh?: number;
  /** Its place in event time: its timestamp, or else the clock that judged it, or else 0. */
  readonly atMs: number;
};

/** One figure, counted over a commit of a partition. */
export type Metric = {
  readonly offset: number;
  readonly metricType: string;
  readonly meterId: string | null;
  readonly timestampMs: number;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
};

/** What a rule of validation has found; one more of the same rule, meter and start: it has grown. */
export type ValidationFinding = Finding & {
  readonly offset: number;
  readonly meterId: string;
  readonly rule: string;
  readonly severity: Severity;
};

/** Names what was found: of several messages with one key the last stands. */
export function findingKey(
  { meterId, rule, fromMs }: Pick<ValidationFinding, "meterId" | "rule" | "fromMs">,
): string {
  return `${rule} ${fromMs} ${meterId}`;
}

/** How many messages of a kind commits before this one have said of the record at an offset. */
export type SaidBefore = { readonly offset: number; readonly count: number };

/** Everything said since the last commit, each kind in the order of its cause. */
export type Outputs = {
  readonly validated: ValidatedReading[];
  readonly gaps: GapAlert[];
  readonly late: LateEvent[];
  readonly rejected: RejectedReading[];
  readonly metrics: Metric[];
  readonly findings: ValidationFinding[];
  /** How many gaps commits before this one have said of the record at an offset. */
  gapsBefore?: SaidBefore;
  /** The same of findings. */
  findingsBefore?: SaidBefore;
};

/** An empty set of outputs. */
export function emptyOutputs(): Outputs {
  return { validated: [], gaps: [], late: [], rejected: [], metrics: [], findings: [] };
}
