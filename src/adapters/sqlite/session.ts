import type { Estimates } from "../../tables/estimate_gaps.ts";
import type { CommitBatch } from "./batch.ts";
import { checkFile } from "./check.ts";
import { DigestBook, NONE } from "./digest_book.ts";
import { writeEstimates } from "./estimates.ts";
import { DAMAGE_HINT, isBusy, isFull, SqlError, StoreError } from "./errors.ts";
import { type Cells, readCells } from "./cells.ts";
import { type Database, openFile } from "./library.ts";
import { dropOldDays } from "./retention.ts";
import { checkMigrations, type Identity, identityOf, migrateFile, pragma } from "./schema.ts";
import type { ZoneOffset } from "../../tables/local_days.ts";
import { Writer } from "./writer.ts";

/** What a session of the writer is told. */
export type SessionOptions = {
  readonly path: string;
  /** Names this session in the file. */
  readonly writer: string;
  /** The process, for people. */
  readonly process: number;
  /** Names the start of the machine; null: it is not known. */
  readonly boot: string | null;
  /** The identity of a store that has to be made. */
  readonly id: string;
  readonly nowIso: string;
  /** Days before the watermark that readings are kept; 0: all. */
  readonly retentionDays: number;
  /** The zone of local days; not given: as it is. */
  readonly zone?: readonly ZoneOffset[];
};

/** A replayed input as it is begun. */
export type InputRow = {
  readonly id: number;
  readonly fingerprint: string;
  readonly description: string;
  readonly baseOffsets: readonly number[];
  readonly now: string;
};

/** Another process writes, or has begun to. */
export class TakenError extends Error {
  override name = "TakenError";
}

/** Pages of the WAL (8 KiB each) after which they are moved into the file. */
const CHECKPOINT_PAGES = 2000;
const SETTINGS = [
  "PRAGMA synchronous = FULL", // every commit is on the disk when it returns
  "PRAGMA cache_size = -16384", // KiB
  `PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`,
  `PRAGMA journal_size_limit = ${64 << 20}`,
  "PRAGMA cell_size_check = ON",
];
/** Rows that one transaction drops as a store is opened, about: it takes some megabytes of the WAL. */
const DROP_ROWS_MAX = 250_000;
/** What is fixed as a file is made. Its free pages can be given back, see `compact`. */
const NEW_FILE = ["PRAGMA page_size = 8192", "PRAGMA auto_vacuum = INCREMENTAL"];

/**
 * The one who writes a store. From opening to closing it holds SQLite's own lock for writing: between
 * two commits a transaction stays open, so that nobody else can begin one. The lock file of the
 * directory can be deleted; this one cannot. In the moment between the end of a transaction and the
 * beginning of the next another may come first: then the name in the table `store` is another, and
 * nothing more is written.
 */
export class Session {
  readonly #database: Database;
  readonly #options: SessionOptions;
  readonly #writer: Writer;
  readonly #digests: DigestBook;

  /**
   * Opens a store, and makes it where there is none.
   *
   * @throws {StoreError} when the file is not one of ours, from a newer version, or damaged
   * @throws {TakenError} when another process writes it
   */
  constructor(options: SessionOptions) {
    const { path } = options;
    const database = openFile(path, { readOnly: false, busyMs: 0 });
    this.#database = database;
    this.#options = options;
    let identity: Identity | null = null;
    try {
      identity = identityOf(database, path);
      if (identity === "empty") NEW_FILE.forEach((setting) => database.exec(setting));
      database.exec("PRAGMA journal_mode = WAL");
      for (const setting of SETTINGS) database.exec(setting);
      begin(database);
      if (identity === "ours") checkMigrations(database, path);
      else migrateFile(database, options.nowIso);
      this.#digests = new DigestBook(database);
      this.#enter(identity === "empty");
      if (options.zone !== undefined) saveZone(database, options.zone);
      this.#writer = new Writer(database);
      if (identity !== "empty") this.#dropAll();
    } catch (error) {
      database.close();
      // Whoever holds the lock may be making a store of it at this moment.
      const isOthers = error instanceof TakenError || isBusy(error);
      if (identity === "empty" && !isOthers) removeFile(path);
      throw error;
    }
  }

  /** @throws {StaleCommitError} when the partition does not stand where the commit begins */
  commit(batch: CommitBatch): void {
    this.#transact(() => {
      this.#writer.write(batch);
      this.#drop(batch.partition, Infinity);
    });
  }

  beginInput({ id, fingerprint, description, baseOffsets, now }: InputRow): void {
    this.#transact(() => {
      this.#database.prepare("INSERT INTO inputs VALUES (?, ?, ?, ?, ?, 0)")
        .run(id, fingerprint, description, JSON.stringify(baseOffsets), now);
      this.#digestWhole("inputs");
    });
  }

  finishInput(id: number): void {
    this.#transact(() => {
      this.#database.prepare("UPDATE inputs SET finished = 1 WHERE id = ?").run(id);
      this.#digestWhole("inputs");
    });
  }

  saveSettings(settings: Readonly<Record<string, string>>): void {
    this.#transact(() => {
      const save = this.#database.prepare("INSERT OR REPLACE INTO settings VALUES (?, ?)");
      for (const [key, value] of Object.entries(settings)) save.run(key, value);
      this.#digestWhole("settings");
    });
  }

  /** Puts estimates in the place of those of before; how many of these are withdrawn. */
  saveEstimates(estimates: Estimates): number {
    let withdrawn = 0;
    this.#transact(() => withdrawn = writeEstimates(this.#database, estimates));
    return withdrawn;
  }

  /**
   * Gives up to `pagesMax` free pages back, in one transaction: pages from the end of the file move
   * into their places. Returns how many are left.
   */
  compact(pagesMax: number): number {
    this.#transact(() => {
      // The statement frees a page with each step: one that is only run would free the first.
      this.#database.prepare(`PRAGMA incremental_vacuum(${pagesMax})`).all();
    });
    // The file is cut as the WAL is moved into it, which no open transaction may hinder. Readers of an
    // earlier moment do: then the next step does it, or whoever closes the store last.
    this.release();
    this.#database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all();
    this.#hold();
    return pragma(this.#database, "freelist_count");
  }

  /** Reads what the writer itself goes on from. */
  cells(sql: string, params: readonly unknown[]): Cells {
    return readCells(this.#database, sql, params);
  }

  /** Lets the lock go, as between two transactions: whoever comes now takes the store over. */
  release(): void {
    if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
  }

  /** Whether anything was ever played into the store. */
  isUsed(): boolean {
    const [{ n }] = this.#database.prepare("SELECT count(*) AS n FROM positions").all();
    return Number(n) > 0;
  }

  /** Says in the file that it was closed, and closes it; on a full disk it is closed unsaid. */
  close(): void {
    try {
      if (this.#isOurs()) {
        this.#database.exec("UPDATE store SET boot = NULL");
        this.#database.exec("COMMIT");
      }
    } catch (error) {
      if (!isFull(error)) throw error;
    } finally {
      this.#database.close();
    }
  }

  /** Takes the store over: from here on commits of whoever had it are refused. */
  #enter(isNew: boolean): void {
    const database = this.#database;
    const { id, writer, process, boot, path } = this.#options;
    if (isNew) {
      database.prepare("INSERT INTO store VALUES (1, ?, ?, ?, ?)").run(id, writer, process, boot);
      this.#digests.set({ table: "store", partition: NONE }, [[id]]);
      this.#digests.save();
    } else {
      const row = database.prepare("SELECT boot FROM store").get();
      // Under the same start of the machine the system still has what a killed process has written.
      const isUnsure = row === undefined || (row.boot !== null && row.boot !== boot);
      if (isUnsure) refuseDamage(database, path);
      database.prepare("UPDATE store SET writer = ?, process = ?, boot = ?")
        .run(writer, process, boot ?? "unknown");
    }
    database.exec("COMMIT");
    begin(database);
  }

  /** Drops what is too old by a setting that is new: in steps, for it may be nearly all there is. */
  #dropAll(): void {
    const rows = this.#database.prepare("SELECT partition FROM positions").all();
    for (const { partition } of rows) {
      for (let isMore = true; isMore;) {
        this.#transact(() => {
          isMore = this.#drop(Number(partition), DROP_ROWS_MAX);
        });
      }
    }
  }

  #drop(partition: number, rowsMax: number): boolean {
    const { retentionDays: days } = this.#options;
    return dropOldDays(this.#database, this.#digests, { partition, days, rowsMax });
  }

  #transact(work: () => void): void {
    const database = this.#database;
    if (!database.isTransaction) begin(database);
    if (!this.#isOurs()) throw new TakenError("another process has taken the store over");
    try {
      work();
      database.exec("COMMIT");
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      this.#hold();
      throw error;
    }
    this.#hold();
  }

  /** Holds the lock again; where another has it, the next commit says so. */
  #hold(): void {
    try {
      begin(this.#database);
    } catch (error) {
      if (!(error instanceof TakenError)) throw error;
    }
  }

  #isOurs(): boolean {
    if (!this.#database.isTransaction) return false;
    const row = this.#database.prepare("SELECT writer FROM store").get();
    return row?.writer === this.#options.writer;
  }

  #digestWhole(table: "inputs" | "settings"): void {
    const rows = this.#database.prepare(`SELECT * FROM ${table}`).all();
    const values = rows.map((row) => Object.values(row) as (string | number)[]);
    this.#digests.set({ table, partition: NONE }, values);
    this.#digests.save();
  }
}

/** Removes what was begun of a store, with the files that SQLite keeps beside it. */
function removeFile(path: string): void {
  for (const end of ["", "-wal", "-shm"]) {
    try {
      Deno.removeSync(path + end);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

function begin(database: Database): void {
  try {
    database.exec("BEGIN IMMEDIATE");
  } catch (error) {
    if (isBusy(error)) throw new TakenError("another process is writing the store");
    throw error;
  }
}

function refuseDamage(database: Database, path: string): void {
  const findings = checkFile(database);
  if (findings.length === 0) return;
  const { what } = findings[0];
  const more = findings.length === 1 ? "" : `, and ${findings.length - 1} more`;
  throw new StoreError(
    `${path} was not closed before the machine stopped, and is damaged: ${what}${more}`,
    { hint: DAMAGE_HINT, cause: new SqlError(what) },
  );
}

function saveZone(database: Database, offsets: readonly ZoneOffset[]): void {
  database.exec("DELETE FROM zone_offsets");
  const insert = database.prepare("INSERT INTO zone_offsets VALUES (?, ?, ?)");
  for (const { starts_at, offset_seconds, zone } of offsets) {
    insert.run(starts_at, offset_seconds, zone);
  }
}
