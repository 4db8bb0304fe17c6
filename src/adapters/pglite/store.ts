import { type Commit, type CommitStore, FencedError, type Snapshot } from "../../engine/ports.ts";
import { CopyWriter } from "../../tables/copy.ts";
import { outputRows, type TableRows, UPSERTS } from "../../tables/output_rows.ts";
import { lockDirectory } from "../deno/directory_lock.ts";
import { migrate } from "../../tables/migrations.ts";
import { PgliteClient, type QueryAnswer, SqlError } from "./client.ts";
import type { CellsAnswer, Statement } from "./worker.ts";

/** One replayed input: what was played into this store, from which offsets on. */
export type StoredInput = {
  readonly id: number;
  readonly fingerprint: string;
  readonly description: string;
  readonly baseOffsets: readonly number[];
  readonly nowMs: number;
  readonly finished: boolean;
};

/**
 * WAL is not recycled by itself in PGlite, which runs as a single process: after so many bytes of
 * rows a checkpoint is due.
 */
const CHECKPOINT_BYTES = 128 << 20;

/** Staging for upserts: COPY knows no ON CONFLICT. */
const STAGES = Object.keys(UPSERTS).map((table) =>
  `CREATE TEMPORARY TABLE ${table}_stage (LIKE ${table}) ON COMMIT DELETE ROWS;`
).join("\n");

/** The embedded database: a commit is one SQL transaction. */
export class PgliteStore implements CommitStore {
  readonly #client: PgliteClient;
  readonly #lock: { release(): void } | null;
  #bytesSinceCheckpoint = 0;

  private constructor(client: PgliteClient, lock: { release(): void } | null) {
    this.#client = client;
    this.#lock = lock;
  }

  /**
   * Opens the store in a directory, creates and migrates it where needed; null: in memory.
   *
   * @throws {LockedError} when another process has it open.
   */
  static async open(directory: string | null): Promise<PgliteStore> {
    const lock = directory === null ? null : await lockDirectory(directory);
    let client: PgliteClient | null = null;
    try {
      client = await PgliteClient.open(directory === null ? null : `${directory}/pg`);
      const store = new PgliteStore(client, lock);
      await client.script("SET TIME ZONE 'UTC'");
      await migrate(client);
      await client.script(STAGES);
      return store;
    } catch (error) {
      await client?.close();
      lock?.release();
      throw error;
    }
  }

  async load(partition: number): Promise<Snapshot | null> {
    const { rows } = await this.#client.query(
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

  /** @throws {FencedError} when the partition does not stand where the commit begins. */
  async commit(commit: Commit): Promise<void> {
    const tables = outputRows(commit.outputs, commit.partition);
    const statements = [...positionStatements(commit), ...stateStatements(commit)];
    for (const table of tables) statements.push(...tableStatements(table));
    try {
      await this.#client.transaction(statements);
    } catch (error) {
      if (!(error instanceof SqlError && error.unexpectedRows)) throw error;
      throw new FencedError(`partition ${commit.partition} does not stand at ${commit.fromOffset}`);
    }
    this.#bytesSinceCheckpoint += tables.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#bytesSinceCheckpoint += commit.changelog.reduce((sum, part) => sum + part.length, 0);
    if (this.#bytesSinceCheckpoint > CHECKPOINT_BYTES) await this.#checkpoint();
  }

  /** Runs one statement; with `readOnly` it cannot change anything. */
  query(
    sql: string,
    params: readonly unknown[] = [],
    options: { readOnly?: boolean } = {},
  ): Promise<QueryAnswer> {
    return this.#client.query(sql, params, options);
  }

  /** Runs one statement that cannot change anything; rows as arrays. */
  readCells(sql: string): Promise<CellsAnswer> {
    return this.#client.queryCells(sql, [], { readOnly: true });
  }

  /** The input played last, finished or not. */
  async lastInput(): Promise<StoredInput | null> {
    const { rows } = await this.#client.query("SELECT * FROM inputs ORDER BY id DESC LIMIT 1");
    if (rows.length === 0) return null;
    const row = rows[0];
    return {
      id: Number(row.id),
      fingerprint: String(row.fingerprint),
      description: String(row.description),
      baseOffsets: (row.base_offsets as unknown[]).map(Number),
      nowMs: (row.now_at as Date).getTime(),
      finished: Boolean(row.finished),
    };
  }

  async beginInput(input: StoredInput): Promise<void> {
    await this.#client.query(
      "INSERT INTO inputs (id, fingerprint, description, base_offsets, now_at) " +
        "VALUES ($1, $2, $3, $4::bigint[], $5)",
      [
        input.id,
        input.fingerprint,
        input.description,
        `{${input.baseOffsets.join(",")}}`,
        new Date(input.nowMs),
      ],
    );
  }

  async finishInput(id: number): Promise<void> {
    await this.#client.query("UPDATE inputs SET finished = true WHERE id = $1", [id]);
  }

  /** What was fixed when the directory was first used. */
  async settings(): Promise<Record<string, string>> {
    const { rows } = await this.#client.query("SELECT key, value FROM settings");
    return Object.fromEntries(rows.map((row) => [String(row.key), String(row.value)]));
  }

  async saveSettings(settings: Readonly<Record<string, string>>): Promise<void> {
    await this.#client.transaction(
      Object.entries(settings).map(([key, value]) => ({
        sql: "INSERT INTO settings VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2",
        params: [key, value],
      })),
    );
  }

  async close(): Promise<void> {
    try {
      await this.#client.close();
    } finally {
      this.#lock?.release();
    }
  }

  async *#changelog(partition: number): AsyncGenerator<Uint8Array> {
    let after: unknown[] = [-1, -1];
    while (true) {
      const { rows } = await this.#client.query(
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

  /** Recycles WAL, and the space of changelog and task rows that were written over. */
  async #checkpoint(): Promise<void> {
    this.#bytesSinceCheckpoint = 0;
    await this.#client.script("VACUUM task_state, state_changelog, positions, ledger");
    await this.#client.script("CHECKPOINT");
  }
}

/** Moves the position on, and only from where the commit begins: this is what fences. */
function positionStatements(commit: Commit): Statement[] {
  const { partition, fromOffset, nextOffset, ledger } = commit;
  const watermark = commit.watermarkMs === null ? null : new Date(commit.watermarkMs);
  const position = fromOffset === 0
    ? {
      sql: "INSERT INTO positions (partition, next_offset, watermark) VALUES ($1, $2, $3) " +
        "ON CONFLICT DO NOTHING",
      params: [partition, nextOffset, watermark],
    }
    : {
      sql: "UPDATE positions SET next_offset = $2, watermark = $3 " +
        "WHERE partition = $1 AND next_offset = $4",
      params: [partition, nextOffset, watermark, fromOffset],
    };
  const { raw, ok, late, too_late, duplicate, rejected, tick } = ledger;
  return [
    { ...position, expectRows: 1 },
    {
      sql: "INSERT INTO ledger VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (partition) " +
        "DO UPDATE SET raw = $2, ok = $3, late = $4, too_late = $5, duplicate = $6, " +
        "rejected = $7, tick = $8",
      params: [partition, raw, ok, late, too_late, duplicate, rejected, tick],
    },
    {
      sql: "INSERT INTO task_state VALUES ($1, $2) ON CONFLICT (partition) " +
        "DO UPDATE SET state = $2",
      params: [partition, commit.task],
    },
  ];
}

function stateStatements(commit: Commit): Statement[] {
  const { partition, nextOffset, changelog, compacts } = commit;
  const statements: Statement[] = [];
  if (compacts) {
    statements.push({
      sql: "DELETE FROM state_changelog WHERE partition = $1",
      params: [partition],
    });
  }
  if (changelog.length === 0) return statements;
  const writer = new CopyWriter(changelog.reduce((sum, part) => sum + part.length + 64, 64));
  changelog.forEach((payload, part) => {
    writer.row(4);
    writer.int32(partition);
    writer.int64(nextOffset);
    writer.int32(part);
    writer.bytes(payload);
  });
  statements.push({
    sql: "COPY state_changelog FROM '/dev/blob' (FORMAT binary)",
    blob: writer.finish(),
  });
  return statements;
}

function tableStatements({ table, columns, bytes }: TableRows): Statement[] {
  const upsert = UPSERTS[table];
  const target = upsert === undefined ? table : `${table}_stage`;
  const copy = {
    sql: `COPY ${target} (${columns.join(", ")}) FROM '/dev/blob' (FORMAT binary)`,
    blob: bytes,
  };
  return upsert === undefined ? [copy] : [copy, { sql: upsert }];
}
