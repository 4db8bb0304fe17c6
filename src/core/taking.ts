/** A usable reading, as far as its series asks. */
export type Reading = {
  readonly timestampMs: number;
  readonly consumptionKwh: number;
  /** The interval that it says its series has from it on; 0: none. */
  readonly saidIntervalMs: number;
  /** When it arrived, by its own words; NaN: it does not say. */
  readonly receivedMs: number;
  /** How many slots right before it its source's clock never had. */
  readonly skippedIntervals: number;
  /** The quality code that it was delivered with; null: none. */
  readonly quality: string | null;
};

/** What became of a reading that is in time. */
export type Taking =
  | { readonly disposition: "accepted" }
  /** Accepted, as the first of another interval. */
  | { readonly disposition: "begun" }
  /** It replaces the value of a slot. */
  | { readonly disposition: "revised"; readonly heldKwh: number }
  | { readonly disposition: "duplicate"; readonly heldKwh: number; readonly slotMs: number }
  /** Its slot is older than what is remembered. */
  | { readonly disposition: "forgotten" };

/** It took its slot. */
export const ACCEPTED: Taking = { disposition: "accepted" };
/** It took the first slot of another interval. */
export const BEGUN: Taking = { disposition: "begun" };
/** Nothing is remembered of its slot. */
export const FORGOTTEN: Taking = { disposition: "forgotten" };

/** A reading that needs no check of its own. */
export type UsableReading = {
  readonly meterId: string;
  readonly timestampMs: number;
  readonly consumptionKwh: number;
  readonly offset: number;
};
