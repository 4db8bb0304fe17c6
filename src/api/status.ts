import { type Ledger, ledgerDifference } from "../core/ledger.ts";
import { type AnswerCache, CHEAP, LIST, RARE_SCAN, SCAN } from "./cache.ts";
import { type Fleet, readFleet } from "../tables/meters.ts";
import {
  type Completeness,
  completenessOf,
  type DuplicateCounts,
  type FleetTotals,
} from "../tables/meter_status.ts";
import type { LiveStatus, RunState } from "./ports.ts";
import type { Query } from "../tables/query.ts";
import {
  type Balance,
  type Difference,
  missingRows,
  readBalance,
  type TableCounts,
  tablesOf,
} from "../tables/balance.ts";
import { type PartitionHealth, readPipelineHealth } from "../tables/pipeline_health.ts";
import { type LedgerAnswer, readLedger } from "../tables/ledger.ts";
import { countGaps, type GapsByState } from "../tables/lists.ts";
import { isoFromMs, percentOf, toMsOrNull } from "../tables/values.ts";

/** Whether ledger and tables balanced, and when that was asked (wall clock). */
export type DatedBalance = Balance & { readonly checkedAtMs: number };

/** The answers several routes share, each kept for a while. */
export type Answers = {
  readonly ledger: () => Promise<LedgerAnswer>;
  readonly tableCheck: () => Promise<DatedBalance>;
  readonly gaps: () => Promise<GapsByState>;
  /** What is known of the way into the tables; null where files were played into them. */
  readonly pipeline: () => Promise<PipelineAnswer | null>;
  /** While commits go on the last known one; it is only waited for when there is none. */
  readonly fleet: () => Promise<Fleet>;
  /** The same without waiting: the last known, or null. */
  readonly tableCheckNow: () => DatedBalance | null;
  readonly fleetNow: () => Fleet | null;
};

/** How the raw topic gets into the tables, and what of it they refused. */
export type PipelineAnswer = {
  readonly partitions: readonly PartitionHealth[];
  readonly sinkErrors: number;
  readonly writes: ReadonlyMap<number, PartitionWrites>;
};

/** The last commits of a partition. */
export type PartitionWrites = {
  /** How long the processor's took. */
  readonly commitSeconds: number | null;
  /** When the sink wrote. */
  readonly writtenAtMs: number | null;
};

const WRITES = `SELECT s.partition, max(s.written_at) AS written_at,
  (SELECT m.value FROM metrics m
   WHERE m.metric_type = 'commit_duration_ms' AND m.source_partition = s.partition
   ORDER BY m.time DESC, m.source_offset DESC LIMIT 1) AS commit_ms
FROM sink_positions s GROUP BY s.partition`;

/** Answers out of `query`, kept in `cache`. */
export function createAnswers(
  options: {
    readonly query: Query;
    readonly cache: AnswerCache;
    readonly nowMs: () => number;
    readonly live: () => LiveStatus;
  },
): Answers {
  const { query, cache, nowMs, live } = options;
  const check = async () => {
    const checkedAtMs = nowMs();
    const of = live().source === "database" ? await tablesOf(query) : "store";
    return { ...await readBalance(query, of), checkedAtMs };
  };
  const readPipeline = async () => {
    const partitions = await readPipelineHealth(query);
    const [row] = await query("SELECT count(*) AS n FROM sink_errors");
    const writes = new Map((await query(WRITES)).map((write) => [Number(write.partition), {
      commitSeconds: write.commit_ms === null ? null : Number(write.commit_ms) / 1000,
      writtenAtMs: toMsOrNull(write.written_at),
    }]));
    return { partitions, sinkErrors: Number(row.n), writes };
  };
  const load = () => readFleet(query, nowMs());
  const fleetNow = () => cache.peek("fleet", SCAN, load);
  return {
    ledger: () => cache.get("ledger", CHEAP, () => readLedger(query)),
    gaps: () => cache.get("gaps by state", LIST, () => countGaps(query)),
    async pipeline() {
      if (live().source !== "database") return null;
      return await cache.get("pipeline", LIST, readPipeline);
    },
    tableCheck: () => cache.get("table check", RARE_SCAN, check),
    tableCheckNow: () => cache.peek("table check", RARE_SCAN, check),
    fleetNow,
    async fleet() {
      const known = live().state === "running" ? fleetNow() : null;
      return known ?? await cache.get("fleet", SCAN, load);
    },
  };
}

/** What is found of a ledger by the last comparison with the rows, and of when that is. */
export type BalanceSummary = {
  /** Null: not compared yet, or not all of it. True holds of `tables_checked_raw` records. */
  readonly balanced: boolean | null;
  /** Rows missing from the tables (or too many, negative) at the last check; null before it. */
  readonly table_differences: TableCounts | null;
  /** Each thing that differed, by partition; null before the first check. */
  readonly differences: readonly Difference[] | null;
  /** Differences beyond those named. */
  readonly more_differences: number;
  /** Partitions that rows are written of without an account. */
  readonly not_compared: readonly number[];
  /** When the check began, and the raw records it took in: commits since then are not in it. */
  readonly tables_checked_at: string | null;
  readonly tables_checked_raw: number | null;
};

/** The ledger in one line: what is counted, and whether it balances. */
export type LedgerSummary = BalanceSummary & {
  readonly total: Ledger;
  readonly difference: number;
};

const DIFFERENCES_MAX = 100;

/** Everything the first line of the page shows; `/api/status` and each `status` event. */
export type StatusAnswer = {
  readonly version: string;
  readonly state: RunState;
  readonly source: LiveStatus["source"];
  readonly message: string | null;
  readonly problems: readonly string[];
  readonly inputs: string;
  readonly rows_read: number;
  readonly rows_total: number | null;
  readonly percent: number | null;
  readonly readings_per_second: number;
  /** At the present rate; null when nothing moves or the end is not known. */
  readonly seconds_left: number | null;
  readonly event_time: string | null;
  readonly started_at: string | null;
  readonly last_progress_at: string | null;
  readonly store: { readonly ok: boolean; readonly error: string | null };
  readonly open_gaps: number | null;
  readonly gaps: GapsByState | null;
  readonly ledger: LedgerSummary | null;
  /** Readings by the ledger; all else by the last scan, and null before it. */
  readonly fleet: FleetAnswer | null;
};

/** The fleet in the status. */
type FleetAnswer = { readonly [name in keyof Completeness]: Completeness[name] | null } & {
  readonly meters: number | null;
  readonly meters_by_status: FleetTotals["byStatus"] | null;
  readonly readings: number;
  /** A gap that goes on counts as far as slots are judged. */
  readonly missing_intervals: number | null;
  readonly expected_intervals: number | null;
  readonly duplicates: DuplicateCounts | null;
  readonly first_at: string | null;
  readonly last_at: string | null;
};

/** A status without the store's part. */
export function statusOfLive(live: LiveStatus, version: string): StatusAnswer {
  const { rowsRead, rowsTotal, readingsPerSecond } = live;
  const moves = live.state === "running" && readingsPerSecond > 0;
  return {
    version,
    state: live.state,
    source: live.source,
    message: live.message,
    problems: live.problems,
    inputs: live.inputs,
    rows_read: rowsRead,
    rows_total: rowsTotal,
    percent: rowsTotal === null ? null : percentOf(rowsRead, Math.max(0, rowsTotal - rowsRead)),
    readings_per_second: Math.round(readingsPerSecond * 10) / 10,
    seconds_left: rowsTotal !== null && moves
      ? Math.ceil(Math.max(0, rowsTotal - rowsRead) / readingsPerSecond)
      : null,
    event_time: isoFromMs(live.eventTimeMs),
    started_at: isoFromMs(live.startedAtMs),
    last_progress_at: isoFromMs(live.lastProgressAtMs),
    store: { ok: true, error: null },
    open_gaps: live.openGaps,
    gaps: null,
    ledger: null,
    fleet: null,
  };
}

/**
 * The whole status. While commits go on, the scans (fleet, table check) are the last known ones,
 * so that this stays quick; afterwards they are of the last commit. Rejects when the store does.
 */
export async function readStatus(
  options: { readonly answers: Answers; readonly live: () => LiveStatus; readonly version: string },
): Promise<StatusAnswer> {
  const { answers, live, version } = options;
  const running = live().state === "running";
  const [ledger, gaps, check, fleet] = await Promise.all([
    answers.ledger(),
    answers.gaps(),
    running ? answers.tableCheckNow() : answers.tableCheck(),
    running ? answers.fleetNow() : answers.fleet(),
  ]);
  const status = statusOfLive(live(), version);
  return {
    ...status,
    // A store that nothing fills any more still has its watermarks.
    event_time: isoFromMs(latestMs([live().eventTimeMs, ...watermarksMs(ledger)])),
    open_gaps: status.open_gaps ?? gaps.OPEN.gaps,
    gaps,
    ledger: summarizeLedger(ledger, check),
    fleet: {
      readings: ledger.total.ok + ledger.total.late,
      ...(fleet === null ? NOT_COUNTED : countsOf(fleet.totals)),
    },
  };
}

type FleetCounts = Omit<FleetAnswer, "readings">;

const NOT_COUNTED: FleetCounts = {
  meters: null,
  meters_by_status: null,
  missing_intervals: null,
  expected_intervals: null,
  completeness_percent: null,
  completeness_reporting_percent: null,
  silent_meters: null,
  silent_intervals: null,
  duplicates: null,
  first_at: null,
  last_at: null,
};

function countsOf(totals: FleetTotals): FleetCounts {
  const { meters, byStatus, slots, duplicates, firstAtMs, lastAtMs } = totals;
  return {
    meters,
    meters_by_status: byStatus,
    missing_intervals: slots.expected - slots.valid,
    expected_intervals: slots.expected,
    ...completenessOf(totals),
    duplicates,
    first_at: isoFromMs(firstAtMs),
    last_at: isoFromMs(lastAtMs),
  };
}

/** The watermarks of the partitions, as committed. */
export function watermarksMs({ partitions }: LedgerAnswer): (number | null)[] {
  return partitions.map(({ watermark }) => toMsOrNull(watermark));
}

/** The latest of some times, or null when there is none. */
export function latestMs(times: readonly (number | null)[]): number | null {
  return times.reduce((a, b) => a === null ? b : b === null ? a : Math.max(a, b), null);
}

/**
 * Whether a ledger balances: it adds up, and at the last check each of its records had its row. A
 * ledger that does not add up now needs no check to say so.
 */
export function summarizeLedger(ledger: LedgerAnswer, check: DatedBalance | null): LedgerSummary {
  const addsUp = ledger.partitions.every((each) => ledgerDifference(each) === 0);
  const differences = check?.differences ?? null;
  return {
    total: ledger.total,
    difference: ledger.difference,
    balanced: addsUp ? check?.balanced ?? null : false,
    table_differences: check === null ? null : missingRows(check),
    differences: differences?.slice(0, DIFFERENCES_MAX) ?? null,
    more_differences: Math.max(0, (differences?.length ?? 0) - DIFFERENCES_MAX),
    not_compared: check?.notCompared ?? [],
    tables_checked_at: isoFromMs(check?.checkedAtMs ?? null),
    tables_checked_raw: check?.ledger.raw ?? null,
  };
}
