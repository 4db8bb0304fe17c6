import { emptyLedger, type Ledger } from "./ledger.ts";

/** What a partition knows besides its meters: enough, with them, to go on where it stopped. */
export type TaskState = {
  nextOffset: number;
  nextSerial: number;
  /** Latest accepted reading, latest tick, and the later of the two; -Infinity: none yet. */
  readingMaxMs: number;
  tickMaxMs: number;
  /** The serial of the next meter when `tickMaxMs` was reached: later meters it does not judge. */
  tickSerial: number;
  /** The latest tick was written by a replay, which has not ended. */
  replaying: boolean;
  /** The latest tick of each replay, by the replay's start: the clock of that replay's records. */
  readonly replayTicks: Map<number, number>;
  /** Gaps said by the parts of a tick that is not wholly folded: that of the next offset. */
  partGaps: number;
  /** The same of what rules have found. */
  partFindings: number;
  /** The latest arrival known, of whatever kind. */
  clockMs: number;
  ledger: Ledger;
};

/** What a task tells others with each commit: how far its partition is judged, and the counts. */
export type TaskAccount = {
  readonly nextOffset: number;
  /** Epoch milliseconds; null: there is none yet, or a version that did not say it wrote this. */
  readonly watermarkMs: number | null;
  readonly ledger: Readonly<Ledger>;
};

/** The state before the first record. */
export function initialTaskState(): TaskState {
  return {
    nextOffset: 0,
    nextSerial: 0,
    readingMaxMs: -Infinity,
    tickMaxMs: -Infinity,
    tickSerial: 0,
    replaying: false,
    replayTicks: new Map(),
    partGaps: 0,
    partFindings: 0,
    clockMs: -Infinity,
    ledger: emptyLedger(),
  };
}
