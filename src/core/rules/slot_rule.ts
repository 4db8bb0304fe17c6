/** How bad it is: a warning is to be looked at, an error is no value. */
export type Severity = "warn" | "error";

/** What a rule has found, a run of slots or an episode of days; energies are in milliwatt-hours. */
export type Finding = {
  readonly fromMs: number;
  /** The first slot after it. */
  readonly toMs: number;
  readonly slots: number;
  /** The energy that failed, and the one that it was held against; NaN: there is none to name. */
  readonly value: number;
  readonly limit: number;
  readonly detail: string;
};

/** Says a finding; again with the same `fromMs`: it has grown. */
export type Say = (finding: Finding) => void;

/**
 * A slot that can no longer change. Energies are whole milliwatt-hours; NaN: it is missing, or its
 * reading cannot be one (NEGATIVE, CAPACITY).
 */
export type JudgedSlot = {
  readonly atMs: number;
  readonly intervalMs: number;
  readonly mwh: number;
  /** The slots before and after it. */
  readonly beforeMwh: number;
  readonly afterMwh: number;
  /** Of the 28 UTC days before the slot's own, those that have a reading. */
  readonly historyDays: number;
  /** The highest reading of these days. */
  readonly highestMwh: number;
  /** Whether at most a tenth of at least 7 days' worth of their readings were 0. */
  readonly areZerosRare: boolean;
};

/** A UTC day that has ended. */
export type JudgedDay = {
  readonly fromMs: number;
  readonly toMs: number;
  /** Slots of a day. */
  readonly slots: number;
  readonly sumMwh: number;
  readonly zeros: number;
  /** How often a reading was another than the one before it. */
  readonly changes: number;
  readonly isComplete: boolean;
  /** Whether the day before it had readings. */
  readonly isNext: boolean;
  /** Of the 28 days before it, how many were complete, and the sum of all their readings. */
  readonly completeDays: number;
  readonly totalMwh: number;
  /** The start of the latest of these days that was the same, slot for slot; NaN: none was. */
  readonly sameAsMs: number;
};

/** Numbers that a rule keeps of one series: 0 before its first slot. */
export class RuleNumbers {
  #numbers: Float64Array = new Float64Array(0);
  #at = 0;

  /** Lets it stand for the numbers at a place. */
  point(numbers: Float64Array, at: number): void {
    this.#numbers = numbers;
    this.#at = at;
  }

  get(k: number): number {
    return this.#numbers[this.#at + k];
  }

  set(k: number, value: number): void {
    this.#numbers[this.#at + k] = value;
  }
}

/**
 * A rule that follows each series slot by slot, or day by day, in the order of time, behind the
 * allowed lateness: so its answer does not hang on the order of arrival.
 *
 * Pure: what it says hangs on its arguments and its numbers alone. Energies are compared by
 * multiplying, never by dividing. Nothing is remembered of a slot beyond the numbers.
 */
export type SlotRule = {
  /** Public, never changed. */
  readonly name: string;
  readonly severity: Severity;
  /** What it was told: a setting; absent: it has none. */
  readonly threshold?: number;
  /** How many numbers it keeps of a series. They are part of the state. */
  readonly numbers: number;
  /**
   * Judges a slot of a series whose interval is shorter than a day. Returns the energy that the
   * slot counts as in the history: a value that fails counts as its limit. The first slot that is
   * missing ends every run; those after it are passed over.
   */
  slot?(slot: JudgedSlot, kept: RuleNumbers, say: Say): number;
  /** Judges a day. Returns the energy that a complete day counts as in the history. */
  day?(day: JudgedDay, kept: RuleNumbers, say: Say): number;
  /** Says a run that goes on with the length that it has by now; `slot` is the latest. */
  soFar?(slot: JudgedSlot, kept: RuleNumbers, say: Say): void;
};

/** The number of slots of `intervalMs` that last so long, at least; durations in milliseconds. */
export function slotsFor(durationMs: number, intervalMs: number): number {
  return Math.ceil(durationMs / intervalMs);
}

/** Whether a run of `slots` is news: it has just become long enough, or its length has doubled. */
export function isNews(slots: number, slotsMin: number): boolean {
  if (slots < slotsMin) return false;
  const times = slots / slotsMin;
  return times === 2 ** Math.round(Math.log2(times));
}
