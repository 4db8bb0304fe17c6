import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { DISPOSITIONS } from "../../core/ledger.ts";
import { SQLITE } from "../../tables/dialect.ts";
import { type Asking, drive } from "../../tables/incident_rows.ts";
import { followGaps } from "../../tables/incident_stage.ts";
import type { Row } from "../../tables/query.ts";
import { type CommitBatch, PLAIN_COLUMNS, type PlainRow, type PlainTable } from "./batch.ts";
import { DAY_DIGESTS, DigestBook } from "./digest_book.ts";
import { prepareCells, type Statement } from "./library.ts";
import { ReadingDays } from "./reading_days.ts";

/** The partition does not stand where a commit begins. */
export class StaleCommitError extends Error {
  override name = "StaleCommitError";
}

const PLAIN_TABLES = Object.keys(PLAIN_COLUMNS) as PlainTable[];

/** Tables whose rows are written over as they go on, by their keys. */
const KEYS: Readonly<Partial<Record<PlainTable, readonly string[]>>> = {
  gap_alerts: ["meter_id", "channel", "time", "source_partition"],
  validation_records: ["meter_id", "channel", "rule", '"from"', "source_partition"],
};

/**
 * Writes commits into the tables of an open transaction; whoever calls it ends the transaction. With
 * each row its digest is changed.
 */
export class Writer {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, Statement>();
  /** Those of the second stage, a few texts. */
  readonly #asked = new Map<string, StatementSync>();
  readonly #digests: DigestBook;
  readonly #days: ReadingDays;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#digests = new DigestBook(database);
    this.#days = new ReadingDays(database, this.#digests);
  }

  /** @throws {StaleCommitError} when the partition does not stand at `fromOffset` */
  write(batch: CommitBatch): void {
    this.#digests.begin();
    this.#move(batch);
    this.#keepState(batch);
    this.#days.write(batch.readings, batch.partition);
    for (const table of PLAIN_TABLES) {
      for (const row of batch.rows[table]) this.#writeRow(table, row);
    }
    this.#digests.save();
    drive(followGaps(batch.stage, SQLITE), (asking) => this.#answer(asking));
  }

  /** Runs a statement whose parameters are named $1, $2, …; gives its rows by name. */
  #answer({ sql, params }: Asking): Row[] {
    let statement = this.#asked.get(sql);
    if (statement === undefined) this.#asked.set(sql, statement = this.#database.prepare(sql));
    const named = Object.fromEntries(params.map((value, at) => [`$${at + 1}`, value]));
    return statement.all(named as Record<string, SQLInputValue>);
  }

  #move({ partition, fromOffset, nextOffset, watermark, judgedTo, ledger }: CommitBatch): void {
    const position = [partition, nextOffset, watermark, judgedTo];
    const { changes } = fromOffset === 0
      ? this.#run("INSERT INTO positions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", position)
      : this.#run(
        "UPDATE positions SET next_offset = ?2, watermark = ?3, judged_to = ?4 " +
          "WHERE partition = ?1 AND next_offset = ?5",
        [...position, fromOffset],
      );
    if (Number(changes) !== 1) {
      throw new StaleCommitError(`partition ${partition} does not stand at ${fromOffset}`);
    }
    this.#digests.set({ table: "positions", partition }, [position]);
    const account = [partition, ledger.raw, ...DISPOSITIONS.map((name) => ledger[name])];
    this.#run("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)", account);
    this.#digests.set({ table: "ledger", partition }, [account]);
  }

  #keepState({ partition, nextOffset, changelog, compacts, task }: CommitBatch): void {
    this.#run("INSERT OR REPLACE INTO task_state VALUES (?, ?)", [partition, task]);
    this.#digests.set({ table: "task_state", partition }, [[partition, task]]);
    const key = { table: "state_changelog", partition };
    if (compacts) {
      this.#run("DELETE FROM state_changelog WHERE partition = ?", [partition]);
      this.#digests.set(key, []);
    }
    changelog.forEach((payload, part) => {
      const row = [partition, nextOffset, part, payload];
      this.#run("INSERT INTO state_changelog VALUES (?, ?, ?, ?)", row);
      this.#digests.add(key, row);
    });
  }

  #writeRow(table: PlainTable, row: PlainRow): void {
    const columns: readonly string[] = PLAIN_COLUMNS[table];
    const partition = Number(row[columns.indexOf("source_partition")]);
    const key = { table, partition, day: DAY_DIGESTS[table](row) };
    const names = KEYS[table];
    if (names !== undefined && !this.#replace(row, key, names)) return;
    const marks = columns.map(() => "?").join(", ");
    const changes = columns.filter((name) => names !== undefined && !names.includes(name));
    const upsert = names === undefined
      ? ""
      : ` ON CONFLICT DO UPDATE SET ${changes.map((it) => `${it} = excluded.${it}`).join(", ")}`;
    this.#run(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${marks})${upsert}`, row);
    this.#digests.add(key, row);
  }

  /** Takes the row as it stood out of its digest; false: it was told of later than by this one. */
  #replace(
    row: PlainRow,
    key: { readonly table: PlainTable; readonly partition: number; readonly day: number },
    names: readonly string[],
  ): boolean {
    const columns: readonly string[] = PLAIN_COLUMNS[key.table];
    const [old] = this.#all(
      `SELECT ${columns.join(", ")} FROM ${key.table}
       WHERE ${names.map((name) => `${name} = ?`).join(" AND ")}`,
      names.map((name) => row[columns.indexOf(name)]),
    );
    if (old === undefined) return true;
    const place = columns.indexOf("source_offset");
    if (Number(old[place]) > Number(row[place])) return false;
    this.#digests.add(key, old, -1);
    return true;
  }

  #run(sql: string, values: PlainRow): { changes: number | bigint } {
    return this.#statement(sql).run(...values);
  }

  #all(sql: string, values: PlainRow): PlainRow[] {
    return this.#statement(sql).all(...values) as unknown as PlainRow[];
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = prepareCells(this.#database, sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
