import { Claims } from "../../tables/claims.ts";
import { type Digest, emptyDigest, hashOfText, RowHash, sameDigest } from "../../tables/digest.ts";
import { dayText, differenceOf, type Finding, findingOf } from "../../tables/finding.ts";
import { PLAIN_COLUMNS, type PlainRow, type PlainTable } from "./batch.ts";
import { DAY_DIGESTS, type DigestKey, NONE } from "./digest_book.ts";
import { codeOf } from "./errors.ts";
import { type Database, openFile, prepareCells } from "./library.ts";
import {
  addToSum,
  type DaySum,
  emptySum,
  hashReading,
  MWH_AT,
  type Slot,
  sumColumns,
} from "./reading_days.ts";
import { findChangedSchema, migrateFile } from "./schema.ts";

/** Tables without days, by partition; those named here have no partition either. */
const SMALL_TABLES = ["positions", "ledger", "task_state", "state_changelog", "dropped"] as const;
const WHOLE_TABLES = ["inputs", "settings"] as const;

const DAY_MS = 86_400_000;
const MESSAGES_MAX = 100;

/**
 * Proves that a store holds what was written into it, within the transaction that is open:
 *
 * - SQLite's own check of pages, rows and indexes; tables and views as the migrations make them
 * - every row of every table against the digests that were kept as it was written
 * - the daily sums against the readings, and the sums of meters against those
 * - where retention has dropped the readings, their daily sums against a digest of their own
 * - the raw records against the rows: none has two
 *
 * That the rows are those that the ledger counts is for `readBalance` to say.
 */
export function checkFile(database: Database): readonly Finding[] {
  const check = new Check(database);
  check.run();
  return check.findings;
}

/** Meters whose days do not add up to what is kept of them. */
const WRONG_TOTALS = `
  SELECT meter_id, source_partition FROM (
    SELECT meter_id, channel, source_partition, sum(readings) AS readings,
           sum(late_readings) AS late, sum(flagged_readings) AS flagged,
           min(day * 86400000 + first_ms) AS first, max(day * 86400000 + last_ms) AS last,
           sum(revised_readings) AS revised, max(last_offset) AS latest,
           max(last_late_offset) AS latest_late
    FROM meter_days GROUP BY 1, 2, 3
  ) AS d FULL JOIN meter_totals t USING (meter_id, channel, source_partition)
  WHERE (d.readings, d.late, d.flagged, d.first, d.last, d.revised, d.latest, d.latest_late) IS NOT
    (t.readings, t.late_readings, t.flagged_readings, t.first_ms, t.last_ms, t.revised_readings,
     t.last_offset, t.last_late_offset)
  LIMIT ${MESSAGES_MAX}`;

class Check {
  readonly findings: Finding[] = [];
  readonly #database: Database;
  readonly #digests = new Map<string, { readonly key: DigestKey; readonly digest: Digest }>();
  readonly #hash = new RowHash();
  /** Which raw records of a partition have a row. */
  readonly #claims = new Map<number, Claims>();

  constructor(database: Database) {
    this.#database = database;
  }

  run(): void {
    // What is broken in one place must not hide what is in another.
    this.#attempt(null, () => this.#checkPages());
    this.#attempt(null, () => this.#checkSchema());
    this.#attempt("reading_days", () => this.#readDays());
    this.#attempt("meter_totals", () => this.#checkTotals());
    for (const table of Object.keys(PLAIN_COLUMNS) as PlainTable[]) {
      this.#attempt(table, () => this.#readPlain(table));
    }
    for (const table of [...SMALL_TABLES, ...WHOLE_TABLES]) {
      this.#attempt(table, () => this.#readSmall(table));
    }
    this.#attempt("store", () => this.#readStore());
    this.#attempt("digests", () => this.#compareDigests());
    this.#attempt(null, () => this.#checkClaims());
  }

  #attempt(table: string | null, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#find(`cannot be read: ${error.message}`, { table });
    }
  }

  #find(what: string, place: Partial<Omit<Finding, "what">>): void {
    this.findings.push(findingOf(what, place));
  }

  #checkPages(): void {
    for (const row of this.#database.prepare(`PRAGMA integrity_check(${MESSAGES_MAX})`).all()) {
      const [message] = Object.values(row);
      if (message !== "ok") this.#find(String(message), {});
    }
  }

  #checkSchema(): void {
    const made = openFile(":memory:", { readOnly: false, busyMs: 0 });
    try {
      migrateFile(made, "");
      for (const name of findChangedSchema(this.#database, made)) {
        this.#find(`${name} is not as the migrations make it`, {});
      }
    } finally {
      made.close();
    }
  }

  #readDays(): void {
    const sums = prepareCells(
      this.#database,
      `SELECT readings, late_readings, flagged_readings, consumption_mwh, first_ms, last_ms,
              revised_readings, last_offset, last_late_offset
       FROM meter_days WHERE day = ? AND meter_id = ? AND channel = ? AND source_partition = ?`,
    );
    sums.setReadBigInts(true);
    let days = 0;
    const rows = prepareCells(
      this.#database,
      "SELECT day, meter_id, channel, source_partition, slots FROM reading_days",
    );
    for (
      const row of rows.iterate() as unknown as Iterable<[number, string, string, number, string]>
    ) {
      const [day, meterId, channel, partition, slots] = row;
      days++;
      const sum = this.#addDay({ day, meterId, channel, partition }, JSON.parse(slots) as Slot[]);
      const [kept] = sums.all(day, meterId, channel, partition) as unknown as bigint[][];
      if (kept !== undefined && isSum(sum, kept)) continue;
      const place = { table: "meter_days", partition, day: dayText(day) };
      this.#find(`the sums of ${meterId} are not those of its readings`, place);
    }
    const [[kept]] = prepareCells(this.#database, "SELECT count(*) FROM meter_days")
      .all() as unknown as number[][];
    const without = kept - days - this.#readDropped();
    if (without > 0) this.#find(`${without} rows without readings`, { table: "meter_days" });
  }

  /** The sums of days whose readings retention has dropped; how many there are. */
  #readDropped(): number {
    const rows = prepareCells(
      this.#database,
      `SELECT s.* FROM meter_days s JOIN dropped d ON d.partition = s.source_partition
       WHERE s.day < d.before_day`,
    );
    let count = 0;
    for (const row of rows.iterate() as unknown as Iterable<PlainRow>) {
      count++;
      this.#add({ table: "meter_days", partition: Number(row[3]), day: Number(row[0]) }, row);
    }
    return count;
  }

  #checkTotals(): void {
    const rows = this.#database.prepare(WRONG_TOTALS).all();
    for (const { meter_id, source_partition } of rows) {
      const place = { table: "meter_totals", partition: Number(source_partition) };
      this.#find(`the sums of ${meter_id} are not those of its days`, place);
    }
  }

  #addDay(
    { day, meterId, channel, partition }: {
      readonly day: number;
      readonly meterId: string;
      readonly channel: string;
      readonly partition: number;
    },
    slots: readonly Slot[],
  ): DaySum {
    const { digest } = this.#digestOf({ table: "validated_readings", partition, day });
    const meter = { id: hashOfText(meterId), channel: hashOfText(channel) };
    const claims = this.#claimsOf(partition);
    const sum = emptySum();
    for (const slot of slots) {
      const [seconds, kwh, offset, delay = null, flags = []] = slot;
      const [, , , , , revisesKwh = null, received = null, quality = ""] = slot;
      const ms = Math.round(seconds * 1000);
      const delaySeconds = delay ?? null;
      const value = { kwh, revisesKwh, offset, delaySeconds };
      const receivedMs = received === null ? null : day * DAY_MS + Math.round(received * 1000);
      const values = { ...value, quality, timeMs: day * DAY_MS + ms, receivedMs, partition };
      const flagsHash = flags.length === 0 ? null : hashOfText(flags.join(","));
      hashReading(this.#hash, meter, values, flagsHash).addTo(digest);
      const isLate = delaySeconds !== null;
      addToSum(sum, { ...value, ms, isLate, isFlagged: flags.length > 0 });
      claims.take(offset);
    }
    return sum;
  }

  #readPlain(table: PlainTable): void {
    const columns: readonly string[] = PLAIN_COLUMNS[table];
    const partitionAt = columns.indexOf("source_partition");
    const offsetAt = columns.indexOf("source_offset");
    const isOfRecord = table === "late_events" || table === "rejected_readings";
    const rows = prepareCells(this.#database, `SELECT ${columns.join(", ")} FROM ${table}`);
    for (const row of rows.iterate() as unknown as Iterable<PlainRow>) {
      const partition = Number(row[partitionAt]);
      this.#add({ table, partition, day: DAY_DIGESTS[table](row) }, row);
      if (isOfRecord) this.#claimsOf(partition).take(Number(row[offsetAt]));
    }
  }

  #readSmall(table: string): void {
    const isWhole = (WHOLE_TABLES as readonly string[]).includes(table);
    const rows = prepareCells(this.#database, `SELECT * FROM ${table}`);
    for (const row of rows.iterate() as unknown as Iterable<PlainRow>) {
      this.#add({ table, partition: isWhole ? NONE : Number(row[0]) }, row);
    }
  }

  #readStore(): void {
    const rows = prepareCells(this.#database, "SELECT id FROM store").all();
    for (const row of rows as unknown as PlainRow[]) {
      this.#add({ table: "store", partition: NONE }, row);
    }
  }

  #compareDigests(): void {
    const rows = this.#database.prepare("SELECT * FROM digests").all();
    for (const row of rows) {
      const partition = Number(row.source_partition);
      const key = { table: String(row.table_name), partition, day: Number(row.day) };
      const digest = { rows: Number(row.rows), low: Number(row.low), high: Number(row.high) };
      this.#compareDigest(key, digest, this.#takeDigest(key));
    }
    for (const { key, digest } of this.#digests.values()) {
      this.#compareDigest(key, emptyDigest(), digest);
    }
  }

  #compareDigest({ table, partition, day = NONE }: DigestKey, kept: Digest, found: Digest): void {
    if (sameDigest(kept, found)) return;
    this.#find(differenceOf(kept, found), {
      table,
      partition: partition === NONE ? null : partition,
      day: day === NONE ? null : dayText(day),
    });
  }

  #checkClaims(): void {
    for (const [partition, { shared }] of this.#claims) {
      if (shared > 0) this.#find(`${shared} raw records have two rows`, { partition });
    }
  }

  #add(key: DigestKey, row: PlainRow): void {
    this.#hash.begin().values(row).addTo(this.#digestOf(key).digest);
  }

  #digestOf(key: DigestKey): { readonly key: DigestKey; readonly digest: Digest } {
    const name = nameOf(key);
    let known = this.#digests.get(name);
    if (known === undefined) this.#digests.set(name, known = { key, digest: emptyDigest() });
    return known;
  }

  #takeDigest(key: DigestKey): Digest {
    const name = nameOf(key);
    const known = this.#digests.get(name);
    this.#digests.delete(name);
    return known?.digest ?? emptyDigest();
  }

  #claimsOf(partition: number): Claims {
    let known = this.#claims.get(partition);
    if (known === undefined) this.#claims.set(partition, known = new Claims());
    return known;
  }
}

/** Whether an error comes of what a file holds: SQLite's own, or of text that is no JSON of ours. */
function isUnreadable(error: unknown): error is Error {
  return error instanceof SyntaxError || error instanceof TypeError ||
    error instanceof RangeError || (error instanceof Error && codeOf(error) !== null);
}

function nameOf({ table, partition, day = NONE }: DigestKey): string {
  return `${table} ${partition} ${day}`;
}

/** Whether the columns of `meter_days` are those of a sum; one too large for a double is near it. */
function isSum(sum: DaySum, kept: readonly bigint[]): boolean {
  const { mwh } = sum;
  const keptMwh = Number(kept[MWH_AT]);
  if (!sumColumns(sum).every((value, at) => at === MWH_AT || value === Number(kept[at]))) {
    return false;
  }
  return Math.abs(mwh - keptMwh) <= (Number.isSafeInteger(mwh) ? 0 : Math.abs(mwh) * 1e-9);
}
