import type { Query } from "../tables/query.ts";

/**
 * What the replay or the live worker is doing. `finished` and `stopped` end well, `failed` not;
 * `stalled`: records wait that do not come into the tables, or nobody can tell.
 */
export type RunState = "starting" | "running" | "finished" | "stopped" | "failed" | "stalled";

/**
 * What the driver knows from memory, now. Event time and wall time are both epoch milliseconds:
 * `eventTimeMs` is event time, every other `…AtMs` is wall time.
 */
export type LiveStatus = {
  readonly state: RunState;
  /** A replay in this process, or tables that others write. */
  readonly source: "replay" | "database";
  /** One line for people: what it waits for, or why it failed. */
  readonly message: string | null;
  /** What keeps readings from the tables, a line each; empty: nothing. */
  readonly problems: readonly string[];
  /** What is read, for people: file names, or a database. */
  readonly inputs: string;
  /** Input rows read and committed, those of earlier runs of the same input included. */
  readonly rowsRead: number;
  /** Null when it is not known, as on a live topic or in a file not yet counted. */
  readonly rowsTotal: number | null;
  /** The rate of the last few seconds; 0 when nothing moves. */
  readonly readingsPerSecond: number;
  /** The watermark, the furthest of all partitions; null until a reading or a tick came. */
  readonly eventTimeMs: number | null;
  readonly startedAtMs: number;
  /**
   * When the last commit returned, or the last look at an input that had nothing new. An idle
   * worker that does not move this is taken for a hung one after a minute.
   */
  readonly lastProgressAtMs: number;
  /** Null: the store is asked instead. */
  readonly openGaps: number | null;
};

/** What the status API needs of the world. */
export type StatusPorts = {
  readonly query: Query;
  /** Called often: must be cheap, and must not throw. */
  readonly live: () => LiveStatus;
  readonly version: string;
  /**
   * Names that the server is known by, besides those of the loopback and its addresses; others are
   * refused. Not given: whoever passes requests on has looked, as an edge runtime does.
   */
  readonly hosts?: readonly string[];
  /** Records that have waited for so long without progress are stuck; nothing is unless given. */
  readonly stalledSeconds?: number;
  /** The share of expected slots that should be valid; without one no error budget is told. */
  readonly kpiTarget?: number;
  /** The wall clock; `Date.now` unless given. */
  readonly nowMs?: () => number;
  /** Told of every error behind a 500 or a 503; the answer itself carries no internals. */
  readonly reportError?: (error: unknown, path: string) => void;
  /** Ends the event streams, which would else hold up a graceful shutdown of the server. */
  readonly closing?: AbortSignal;
};
