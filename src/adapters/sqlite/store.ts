import type { Zone } from "../../core/zone.ts";
import { zoneRows } from "../../tables/local_days.ts";
import type { Estimates } from "../../tables/estimate_gaps.ts";
import { formatTimestamp } from "../../core/time.ts";
import {
  type Commit,
  FencedError,
  type InputStore,
  type Snapshot,
  type StoredInput,
} from "../../engine/ports.ts";
import { batchOf } from "./batch.ts";
import { type Cells, namedRows, type QueryAnswer } from "./cells.ts";
import { SqlError, StoreError, storeError } from "./errors.ts";
import { isStoreHeader } from "./schema.ts";
import { type Moment, StoreReader } from "./reader.ts";
import { type PostedError, Thread } from "./thread.ts";
import type { WriterRequest } from "./writer_thread.ts";

/** The store's file in its directory; SQLite keeps two more beside it while it is in use. */
export const STORE_FILE = "gridwatch.db";

const STATEMENT_MS_MAX = 30_000;
/** Pages (8 KiB each) that one transaction gives back. */
const COMPACT_PAGES = 2000;

/** What else keeps other writers out, to the store's end. */
type Lock = { release(): void };
const NO_LOCK: Lock = { release: () => {} };

/** Whether a file is a store, by its first bytes. */
export async function isStoreFile(path: string): Promise<boolean> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(HEADER_BYTES);
  return isStoreHeader(bytes.subarray(0, await file.read(bytes) ?? 0));
}

const HEADER_BYTES = 100;

/** Reads a store beside whoever writes it; nothing is made or changed. */
export async function openReader(
  directory: string,
  { statementMsMax = STATEMENT_MS_MAX } = {},
): Promise<StoreReader> {
  const reader = new StoreReader(`${directory}/${STORE_FILE}`, { statementMsMax });
  try {
    await reader.open();
    return reader;
  } catch (error) {
    throw storeError(error, directory);
  }
}

/** The input played last, finished or not. */
export async function readLastInput(
  from: Pick<Moment, "query">,
): Promise<StoredInput | null> {
  const { rows } = await from.query("SELECT * FROM inputs ORDER BY id DESC LIMIT 1");
  if (rows.length === 0) return null;
  const [row] = rows;
  return {
    id: Number(row.id),
    fingerprint: String(row.fingerprint),
    description: String(row.description),
    baseOffsets: JSON.parse(String(row.base_offsets)),
    nowMs: Date.parse(String(row.now_at)),
    finished: row.finished === 1,
  };
}

/** The embedded store, as its one writer has it: a commit is one SQL transaction, and on the disk. */
export class SqliteStore implements InputStore {
  readonly #directory: string;
  readonly #thread: Thread<WriterRequest>;
  readonly #lock: Lock;
  /** Reads beside the commits, in threads of its own that are started when they are asked. */
  readonly reader: StoreReader;

  private constructor(
    directory: string,
    { thread, lock, reader }: {
      readonly thread: Thread<WriterRequest>;
      readonly lock: Lock;
      readonly reader: StoreReader;
    },
  ) {
    this.#directory = directory;
    this.#thread = thread;
    this.#lock = lock;
    this.reader = reader;
  }

  /**
   * Opens the store in a directory, creates and migrates it where needed. `boot` names the start of
   * the machine; null: it is not known, and a store that was not closed is checked in any case.
   * `lock` is released when the store is closed. Readings older than `retentionDays` before the
   * watermark are dropped, now and with each commit; 0: none is.
   *
   * @throws {StoreError} when another process writes it, it is not ours, from a newer version or
   * damaged, or cannot be written
   */
  static async open(
    directory: string,
    { boot = bootName(), lock = NO_LOCK, retentionDays = 0, zone }: {
      readonly boot?: string | null;
      readonly lock?: Lock;
      readonly retentionDays?: number;
      /** Of local days; not given: the one of before, or UTC. */
      readonly zone?: Zone;
    } = {},
  ): Promise<SqliteStore> {
    const thread: Thread<WriterRequest> = new Thread(
      import.meta.resolve("./writer_thread.ts"),
      errorOf,
    );
    try {
      const path = `${directory}/${STORE_FILE}`;
      const options = {
        path,
        writer: crypto.randomUUID(),
        process: Deno.pid,
        boot,
        id: crypto.randomUUID(),
        nowIso: formatTimestamp(Date.now()),
        retentionDays,
        zone: zone && zoneRows(zone),
      };
      await thread.ask({ kind: "open", options });
      const reader = new StoreReader(path, { statementMsMax: STATEMENT_MS_MAX });
      return new SqliteStore(directory, { thread, lock, reader });
    } catch (error) {
      thread.end(new Error("the store did not open"));
      if (!(error instanceof FencedError)) throw storeError(error, directory);
      throw new StoreError(`Cannot open the store: ${directory} is in use by another process`, {
        hint: "stop it, or use --data DIR",
        cause: error,
      });
    }
  }

  async load(partition: number): Promise<Snapshot | null> {
    const { rows } = await this.#read(
      "SELECT p.next_offset, t.state FROM positions p JOIN task_state t USING (partition) " +
        "WHERE partition = $1",
      [partition],
    );
    if (rows.length === 0) return null;
    return {
      nextOffset: Number(rows[0].next_offset),
      task: rows[0].state as Uint8Array,
      changelog: this.#changelog(partition),
    };
  }

  /**
   * @throws {FencedError} when the partition does not stand where the commit begins, or another
   * process has taken the store over
   * @throws {StoreError} when the disk is full or fails
   */
  async commit(commit: Commit): Promise<void> {
    const { batch, transfer } = batchOf(commit);
    await this.#ask({ kind: "commit", batch }, transfer);
  }

  /** Runs one statement, which can only read. */
  query(sql: string, params: readonly unknown[] = []): Promise<QueryAnswer> {
    return this.reader.query(sql, params);
  }

  /** The input played last, finished or not. */
  lastInput(): Promise<StoredInput | null> {
    return readLastInput({ query: (sql, params) => this.#read(sql, params) });
  }

  async beginInput({ nowMs, ...input }: StoredInput): Promise<void> {
    await this.#ask({ kind: "beginInput", input: { ...input, now: formatTimestamp(nowMs) } });
  }

  async finishInput(inputId: number): Promise<void> {
    await this.#ask({ kind: "finishInput", inputId });
  }

  /** What was fixed when the directory was first used. */
  async settings(): Promise<Record<string, string>> {
    const { rows } = await this.#read("SELECT key, value FROM settings");
    return Object.fromEntries(rows.map((row) => [String(row.key), String(row.value)]));
  }

  async saveSettings(settings: Readonly<Record<string, string>>): Promise<void> {
    await this.#ask({ kind: "saveSettings", settings });
  }

  /** Puts estimates in the place of those of before; how many of these are withdrawn. */
  async saveEstimates(estimates: Estimates): Promise<number> {
    return Number(await this.#ask({ kind: "saveEstimates", estimates }));
  }

  /** Gives the disk some of the free pages, in one transaction; how many are left. */
  async compact(): Promise<number> {
    return Number(await this.#ask({ kind: "compact", pagesMax: COMPACT_PAGES }));
  }

  /** Closes the file; one that nothing was ever played into is removed. */
  async close(): Promise<void> {
    try {
      await this.reader.close();
      const isUsed = await this.#ask({ kind: "isUsed" });
      await this.#ask({ kind: "close" });
      if (!isUsed) await Deno.remove(`${this.#directory}/${STORE_FILE}`);
    } finally {
      this.#thread.end(new Error("the store is closed"));
      this.#lock.release();
    }
  }

  async *#changelog(partition: number): AsyncGenerator<Uint8Array> {
    let after: unknown[] = [-1, -1];
    while (true) {
      const { rows } = await this.#read(
        "SELECT next_offset, part, payload FROM state_changelog WHERE partition = $1 " +
          "AND (next_offset, part) > ($2, $3) ORDER BY next_offset, part LIMIT 16",
        [partition, ...after],
      );
      for (const row of rows) yield row.payload as Uint8Array;
      if (rows.length === 0) return;
      const last = rows[rows.length - 1];
      after = [last.next_offset, last.part];
    }
  }

  /** Reads what the writer itself goes on from, between two commits. */
  async #read(sql: string, params: readonly unknown[] = []): Promise<QueryAnswer> {
    return namedRows(await this.#ask({ kind: "cells", sql, params }) as Cells);
  }

  async #ask(request: WriterRequest, transfer: Transferable[] = []): Promise<unknown> {
    try {
      return await this.#thread.ask(request, transfer);
    } catch (error) {
      throw storeError(error, this.#directory);
    }
  }
}

function errorOf({ name, message, code, hint }: PostedError): Error {
  if (name === "StaleCommitError" || name === "TakenError") return new FencedError(message);
  if (name === "StoreError") return new StoreError(message, { hint });
  return code === null ? new Error(message) : new SqlError(message, code);
}

/** How a store stands between two that write it, see `store` in sql/sqlite/001_init.sql. */
export async function readStanding(
  from: Pick<Moment, "query">,
): Promise<{ readonly id: string; readonly end: "closed" | "open" | "cut off" }> {
  const { rows: [row] } = await from.query("SELECT id, boot FROM store");
  const boot = bootName();
  const isOther = boot !== null && row?.boot !== boot;
  return { id: String(row?.id), end: row?.boot === null ? "closed" : isOther ? "cut off" : "open" };
}

/** Names the start of the machine, where the system tells; null: it does not. */
function bootName(): string | null {
  try {
    return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      return null;
    }
    throw error;
  }
}
