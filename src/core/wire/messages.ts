import type { GapState, RejectReason } from "../outputs.ts";
import type { Severity } from "../rules/slot_rule.ts";

/*
 * The messages as `JSON.parse` gives them of what `JsonWriter` writes. Their field names are public
 * (docs/semantics.md): they are only added to. Times are ISO 8601 in UTC, energies kWh.
 */

/** An accepted reading: a message of the topic `validated`. */
export type ValidatedMessage = {
  readonly meter_id: string;
  readonly timestamp: string;
  readonly consumption_kwh: number;
  readonly status: "OK" | "LATE";
  readonly flags: readonly string[];
  /** Of a LATE reading: how far it was behind the watermark. */
  readonly delay_seconds?: number;
  /** Where it has the flag REVISES: the value that it replaces. */
  readonly revises_kwh?: number;
  /** When it arrived at the head end, where its record said so. */
  readonly received_at?: string;
  /** The quality code that it was delivered with. */
  readonly quality?: string;
};

/** A gap as it stands now: a message of the topic `gap_alerts`. */
export type GapMessage = {
  /** The same for the gap's life: keep the last message of each id. */
  readonly gap_id: string;
  readonly meter_id: string;
  readonly missing_from: string;
  /** The first slot after the gap. */
  readonly missing_to: string;
  readonly gap_minutes: number;
  readonly missing_intervals: number;
  /** Of a FILLED gap: the most slots that it ever had. */
  readonly filled_intervals?: number;
  readonly rejected_intervals: number;
  readonly state: GapState;
  /** The watermark at which this state was found. */
  readonly detected_at: string;
};

/** A reading that came too late: a message of the topic `late_events`. */
export type LateMessage = {
  readonly meter_id: string;
  readonly timestamp: string;
  readonly consumption_kwh: number;
  readonly delay_seconds: number;
};

/** A record that is no usable reading, or whose slot is taken: a message of the topic `rejected`. */
export type RejectedMessage = {
  readonly reason: RejectReason;
  readonly detail: string;
  /** The record as it came, cut to the limit. */
  readonly raw: string;
  /** Where `raw` is no text that every database keeps: it is in base64. */
  readonly raw_encoding?: "base64";
  readonly partition: number;
  readonly offset: number;
  readonly source?: string;
  readonly meter_id?: string;
  readonly timestamp?: string;
  readonly consumption_kwh?: number;
  /** Of a repeat: the slot that is taken, and the value that holds it. */
  readonly slot?: string;
  readonly held_kwh?: number;
  /** Where the timestamp does not say when it came: the clock that it was judged by. */
  readonly judged_at?: string;
};

/**
 * What a rule of validation has found: a message of the topic `validation`. Of the same rule, meter and
 * `from` the last one stands: a run is told again as it goes on.
 */
export type ValidationMessage = {
  readonly meter_id: string;
  readonly rule: string;
  /** A warning is to be looked at, an error is no value. */
  readonly severity: Severity;
  readonly from: string;
  /** The first slot after it. */
  readonly to: string;
  readonly slots: number;
  /** The energy that failed, kWh, and the one that it was held against, where there is one. */
  readonly value: number;
  readonly limit?: number;
  readonly detail: string;
};

/** A figure, counted since the last one of its type: a message of the topic `metrics`. */
export type MetricMessage = {
  readonly metric_type: string;
  readonly meter_id: string | null;
  readonly timestamp: string;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
};
