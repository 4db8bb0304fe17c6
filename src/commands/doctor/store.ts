import type { StoreReader } from "../../adapters/sqlite/reader.ts";
import type { readStanding } from "../../adapters/sqlite/store.ts";
import { formatBytes, formatCount } from "../../console/progress.ts";
import { describeDropped } from "../../setup/dropped.ts";
import { readBalance } from "../../tables/balance.ts";
import { readDropped } from "../../tables/dropped.ts";
import { queryOf } from "../../tables/query.ts";
import { toNumber } from "../../tables/values.ts";
import { type Chain, counted, failed, type Finding, notUsed, ok, warning } from "./checks.ts";

/** A store that is open to be read, as far as the checks need it. */
export type DoctorStore = Pick<
  StoreReader,
  "dialect" | "query" | "quickCheck" | "size" | "close"
>;

/** What the checks of the embedded store look at. */
export type StorePorts = {
  readonly directory: string;
  /** Days that are kept, by the settings; 0: all. */
  readonly retentionDays: number;
  /** Null: there is no store. Rejects for what is none of ours, or newer. */
  readonly open: (directory: string) => Promise<DoctorStore | null>;
  readonly standing: (store: DoctorStore) => ReturnType<typeof readStanding>;
  /** The process that writes the store; null: none does. */
  readonly holder: (directory: string) => Promise<string | null>;
  /** What is free on the disk; null: it is not known. */
  readonly freeBytes: (directory: string) => Promise<number | null>;
};

const STORE = "store";
const LIMIT_MS = 8_000;
/** Every page of a large file is read. */
const PAGES_MS_MAX = 120_000;
const VERIFY = "`gridwatch verify` says where; restore a backup, or play the files again";
/** Less than this is soon full: a run writes as much beside the file before it moves it in. */
const FREE_BYTES_MIN = 256 << 20;
/** As much is worth being given back. */
const SPARE_BYTES_MIN = 64 << 20;

/** The embedded store: whose it is, whether it is whole, how it was left, and its room. */
export function storeChecks(ports: StorePorts): { chain: Chain; close(): Promise<void> } {
  let store: DoctorStore | null = null;
  const opened = () => store!;
  const look = (
    name: string,
    run: (store: DoctorStore) => Promise<Finding>,
    { fix = VERIFY, limitMs = LIMIT_MS } = {},
  ) => ({ name, needs: [STORE], limitMs, fix, run: () => run(opened()) });
  const chain: Chain = [
    {
      name: STORE,
      needs: [],
      limitMs: LIMIT_MS,
      fix: "--data DIR names another directory",
      run: async () => {
        store = await ports.open(ports.directory);
        return await checkIdentity(store, ports);
      },
    },
    look("store pages", checkPages, { limitMs: PAGES_MS_MAX }),
    look("store end", (store) => checkEnd(store, ports)),
    look("store ledger", checkLedger, { limitMs: PAGES_MS_MAX }),
    look("store room", (store) => checkRoom(store, ports), { fix: "free some space" }),
    look("store retention", (store) => checkRetention(store, ports)),
  ];
  return { chain, close: async () => await store?.close() };
}

async function checkIdentity(store: DoctorStore | null, ports: StorePorts): Promise<Finding> {
  const { directory } = ports;
  if (store === null) {
    return notUsed(`there is none in ${directory}`, "`gridwatch run FILE` makes one, --data DIR");
  }
  const { bytes } = await store.size();
  const { id } = await ports.standing(store);
  const { rows } = await store.query("SELECT name FROM schema_migrations ORDER BY name DESC");
  return ok(`${directory}: ours, ${rows[0]?.name}, ${formatBytes(bytes)}, ${id}`);
}

async function checkPages(store: DoctorStore): Promise<Finding> {
  const messages = await store.quickCheck();
  if (messages.length === 0) return ok("SQLite's quick check finds nothing wrong");
  return failed(`damaged: ${messages[0]}`, VERIFY);
}

async function checkEnd(store: DoctorStore, ports: StorePorts): Promise<Finding> {
  const { end } = await ports.standing(store);
  const holder = await ports.holder(ports.directory);
  if (holder !== null) return ok(`process ${holder} writes it`);
  switch (end) {
    case "closed":
      return ok("it was closed");
    case "open":
      return warning(
        "a run that wrote it was killed",
        "the same command goes on where it stood; nothing that was committed is lost",
      );
    case "cut off":
      return warning(
        "it was not closed before the machine stopped",
        "the next run proves it before it goes on; `gridwatch verify` does it now",
      );
    default:
      return end satisfies never;
  }
}

/** The rows that the digests count, and those that were dropped, against the ledger. */
const DIGEST_ROWS = `
  SELECT l.partition, l.ok + l.late AS readings, l.too_late, l.duplicate + l.rejected AS rejected,
    coalesce(d.ok + d.late, 0) + (SELECT coalesce(sum(rows), 0) FROM digests
      WHERE table_name = 'validated_readings' AND source_partition = l.partition) AS readings_found,
    coalesce(d.too_late, 0) + (SELECT coalesce(sum(rows), 0) FROM digests
      WHERE table_name = 'late_events' AND source_partition = l.partition) AS too_late_found,
    coalesce(d.duplicate + d.rejected, 0) + (SELECT coalesce(sum(rows), 0) FROM digests
      WHERE table_name = 'rejected_readings' AND source_partition = l.partition) AS rejected_found
  FROM ledger l LEFT JOIN dropped d ON d.partition = l.partition`;

async function checkLedger(store: DoctorStore): Promise<Finding> {
  const { balanced, differences, ledger } = await readBalance(queryOf(store), "store");
  if (balanced === false) {
    const [{ partition, what }] = differences;
    return failed(`it does not balance: partition ${partition}, ${what}`, VERIFY);
  }
  const { rows } = await store.query(DIGEST_ROWS);
  for (const row of rows) {
    for (const name of ["readings", "too_late", "rejected"]) {
      const [written, found] = [toNumber(row[name]), toNumber(row[`${name}_found`])];
      if (written === found) continue;
      const what = `${name}: ledger ${formatCount(written)}, digests ${formatCount(found)}`;
      return failed(`it does not balance: partition ${row.partition}, ${what}`, VERIFY);
    }
  }
  return ok(`it balances with sums and digests: ${formatCount(ledger.raw)} raw records`);
}

async function checkRoom(store: DoctorStore, ports: StorePorts): Promise<Finding> {
  const { bytes, freeBytes: spare } = await store.size();
  const free = await ports.freeBytes(ports.directory);
  const shown = free === null ? "the disk does not tell" : `${formatBytes(free)} free on its disk`;
  const found = `${shown}, ${formatBytes(spare)} of ${formatBytes(bytes)} free in the file`;
  const isSpare = spare >= SPARE_BYTES_MIN;
  if (free !== null && free < FREE_BYTES_MIN) {
    const compact = isSpare ? "; `gridwatch compact` gives the file's back" : "";
    return warning(found, `free some space: a full disk ends a run${compact}`);
  }
  if (!isSpare || spare * 2 < bytes) return ok(found);
  return warning(found, "`gridwatch compact` gives it back to the disk");
}

async function checkRetention(store: DoctorStore, ports: StorePorts): Promise<Finding> {
  const { retentionDays: days } = ports;
  const dropped = await readDropped(queryOf(store));
  const sofar = dropped === null ? "nothing was dropped" : `dropped: ${describeDropped(dropped)}`;
  if (days === 0) return ok(`retention_days is 0: all is kept; ${sofar}`);
  const { rows: [{ due }] } = await store.query(
    `SELECT count(DISTINCT g.day) AS due FROM digests g JOIN positions p
       ON p.partition = g.source_partition
     WHERE g.table_name = 'validated_readings'
       AND g.day < CAST(julianday(substr(p.watermark, 1, 10)) - julianday('1970-01-01') AS INTEGER) - $1`,
    [days],
  );
  const waiting = toNumber(due) === 0
    ? ""
    : `; ${counted(toNumber(due), "day")} more with the next run or \`gridwatch compact\``;
  return ok(`${counted(days, "day")} are kept; ${sofar}${waiting}`);
}
