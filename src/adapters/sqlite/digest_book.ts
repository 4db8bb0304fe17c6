import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type Digest, emptyDigest, type HashedValue, RowHash } from "../../tables/digest.ts";
import { PLAIN_COLUMNS, type PlainRow, type PlainTable } from "./batch.ts";

/** Which digest a row belongs to. A table that is not kept by day leaves the day out. */
export type DigestKey = {
  readonly table: string;
  readonly partition: number;
  readonly day?: number;
};

/** Stands for "not kept by day", and for "not kept by partition". */
export const NONE = -1;

const DAY_MS = 86_400_000;

/**
 * Under which day (since 1970) a row of a plain table is counted: that of its time, or
 * of its start. What a metric says
 * of a single meter (that it was retired, say) is true for good: retention leaves it, and it is counted
 * under no day.
 */
export const DAY_DIGESTS = Object.fromEntries(
  Object.entries(PLAIN_COLUMNS).map(([table, columns]: [string, readonly string[]]) => {
    const place = columns.indexOf(columns.includes("time") ? "time" : '"from"');
    const meter = table === "metrics" ? columns.indexOf("meter_id") : -1;
    const isForGood = (row: PlainRow) => meter >= 0 && row[meter] !== null;
    return [table, (row: PlainRow) => isForGood(row) ? NONE : dayOf(String(row[place]))];
  }),
) as Record<PlainTable, (row: PlainRow) => number>;

function dayOf(time: string): number {
  return Math.floor(Date.parse(time.slice(0, 10)) / DAY_MS);
}

/** The digests that a transaction changes: each is read once and written once. */
export class DigestBook {
  readonly #find: StatementSync;
  readonly #save: StatementSync;
  readonly #changed = new Map<string, { readonly key: DigestKey; digest: Digest }>();
  readonly #hash = new RowHash();

  constructor(database: DatabaseSync) {
    this.#find = database.prepare(
      "SELECT rows, low, high FROM digests WHERE table_name = ? AND source_partition = ? AND day = ?",
    );
    this.#save = database.prepare("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?)");
  }

  /** Forgets what a transaction that failed has changed. */
  begin(): void {
    this.#changed.clear();
  }

  /** Adds a row; `count` -1 takes one out. */
  add(key: DigestKey, row: readonly HashedValue[], count: 1 | -1 = 1): void {
    this.#hash.begin().values(row).addTo(this.of(key), count);
  }

  /** The rows are all that there is. */
  set(key: DigestKey, rows: readonly (readonly HashedValue[])[]): void {
    const digest = emptyDigest();
    for (const row of rows) this.#hash.begin().values(row).addTo(digest);
    this.#changed.set(nameOf(key), { key, digest });
  }

  /** A digest to add to. */
  of(key: DigestKey): Digest {
    const name = nameOf(key);
    let known = this.#changed.get(name);
    if (known === undefined) {
      const row = this.#find.get(key.table, key.partition, key.day ?? NONE);
      const digest = row === undefined ? emptyDigest() : {
        rows: Number(row.rows),
        low: Number(row.low),
        high: Number(row.high),
      };
      this.#changed.set(name, known = { key, digest });
    }
    return known.digest;
  }

  save(): void {
    for (const { key, digest: { rows, low, high } } of this.#changed.values()) {
      this.#save.run(key.table, key.partition, key.day ?? NONE, rows, low, high);
    }
    this.#changed.clear();
  }
}

function nameOf({ table, partition, day = NONE }: DigestKey): string {
  return `${table} ${partition} ${day}`;
}
