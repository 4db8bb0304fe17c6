/** The fleet's log played into a store by its writer in this thread: no other thread, no lock file. */
import type { ZoneOffset } from "../../../src/tables/local_days.ts";
import type { Commit, CommitStore, Snapshot } from "../../../src/engine/ports.ts";
import { Task } from "../../../src/engine/task.ts";
import { batchOf } from "../../../src/adapters/sqlite/batch.ts";
import { namedRows } from "../../../src/adapters/sqlite/cells.ts";
import { openFile } from "../../../src/adapters/sqlite/library.ts";
import { Session } from "../../../src/adapters/sqlite/session.ts";
import { rawOf } from "../../simulation/fold.ts";
import { logOf, OPTIONS } from "../fleet_log.ts";

/** The start of the machine that tests run under, unless they say another. */
export const BOOT = "boot";
const COMMIT_RECORDS = 100;

/** A session of the writer as a store. */
export class SessionStore implements CommitStore {
  readonly session: Session;

  constructor(
    path: string,
    { boot = BOOT, retentionDays = 0, zone }: {
      readonly boot?: string;
      readonly retentionDays?: number;
      readonly zone?: readonly ZoneOffset[];
    } = {},
  ) {
    const names = { writer: crypto.randomUUID(), id: crypto.randomUUID(), process: 1 };
    const nowIso = "2024-01-01T00:00:00Z";
    this.session = new Session({ path, ...names, boot, nowIso, retentionDays, zone });
  }

  load(partition: number): Promise<Snapshot | null> {
    const select = (sql: string) => namedRows(this.session.cells(sql, [partition])).rows;
    const [row] = select(
      "SELECT * FROM positions JOIN task_state USING (partition) WHERE partition = $1",
    );
    if (row === undefined) return Promise.resolve(null);
    const payloads = select("SELECT * FROM state_changelog WHERE partition = $1 ORDER BY 2, 3");
    return Promise.resolve({
      nextOffset: Number(row.next_offset),
      task: row.state as Uint8Array,
      changelog: payloads.map(({ payload }) => payload as Uint8Array),
    });
  }

  commit(commit: Commit): Promise<void> {
    return Promise.resolve(this.session.commit(batchOf(commit).batch));
  }
}

/** Commits the fleet's log from where it stands, partition by turns, up to `recordsMax` of each. */
export async function playFleet(
  store: CommitStore,
  { commitsMax = Infinity, recordsMax = Infinity, commitRecords = COMMIT_RECORDS } = {},
): Promise<void> {
  const tasks: Task[] = [];
  for (const options of OPTIONS) {
    tasks.push(await Task.open(options, store, { changelogBytesMin: 20_000 }));
  }
  let commits = 0;
  for (let isDone = false; !isDone;) {
    isDone = true;
    for (const task of tasks) {
      // Batches end at whole multiples: where a run was cut off makes no difference.
      const end = (Math.floor(task.nextOffset / commitRecords) + 1) * commitRecords;
      const batch = logOf(task.partition).slice(task.nextOffset, Math.min(end, recordsMax));
      if (batch.length === 0) continue;
      if (commits++ >= commitsMax) return;
      isDone = false;
      for (const bytes of batch) task.fold(rawOf(bytes, task.nextOffset));
      await store.commit(task.takeCommit()!);
    }
  }
}

/**
 * What questions are answered from. The states that a task goes on from are not among them: how its
 * changelog is folded depends on where it was opened.
 */
const ANSWERS = [
  ...["validated_readings", "readings_meter_daily", "gap_alerts", "late_events", "late_readings"],
  ...["rejected_readings", "metrics", "ledger", "positions", "meter_totals", "dropped"],
  ...["inputs", "settings", "gap_status", "missing_daily", "completeness_daily", "gap_recovery"],
];

/** What is made of the gaps in the same transaction. */
const INCIDENTS = ["gap_starts", "incidents", "incident_meters", "meters_failing_together"];

/** All that a store says. */
export function answersOf(path: string): string {
  return rowsOf(path, ANSWERS);
}

/** What a store says of shared outages. */
export function incidentsOf(path: string): string {
  return rowsOf(path, INCIDENTS);
}

function rowsOf(path: string, tables: readonly string[]): string {
  const database = openFile(path, { readOnly: true, busyMs: 0 });
  try {
    return tables.map((table) => {
      const rows = database.prepare(`SELECT * FROM ${table}`).all();
      return `${table}\n${rows.map((row) => JSON.stringify(row)).sort().join("\n")}`;
    }).join("\n\n");
  } finally {
    database.close();
  }
}

/** The answers of a run that nobody disturbed. */
export async function undisturbed(
  directory: string,
  options: { readonly recordsMax?: number; readonly retentionDays?: number } = {},
): Promise<string> {
  const path = `${directory}/undisturbed.db`;
  const store = new SessionStore(path, options);
  await playFleet(store, options);
  store.session.close();
  return answersOf(path);
}
