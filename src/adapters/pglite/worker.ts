import { PGlite, types } from "@electric-sql/pglite";
import { BECOME_READER, isReading, MAKE_READER, READING_WORDS } from "./reader.ts";

/**
 * The thread that PGlite runs in, so that SQL and the rest of the pipeline use a core each. It
 * answers requests one by one; a request is a list of statements in one transaction, or without one.
 */
export type Statement = {
  readonly sql: string;
  readonly params?: readonly unknown[];
  /** What `COPY … FROM '/dev/blob'` reads. */
  readonly blob?: Uint8Array<ArrayBuffer>;
  /** The transaction is rolled back unless the statement affects exactly so many rows. */
  readonly expectRows?: number;
};

export type Request =
  | { readonly id: number; readonly kind: "open"; readonly dataDirectory: string | null }
  | { readonly id: number; readonly kind: "transaction"; readonly statements: Statement[] }
  | { readonly id: number; readonly kind: "script"; readonly sql: string }
  | {
    readonly id: number;
    readonly kind: "query";
    readonly sql: string;
    readonly params: readonly unknown[];
    readonly readOnly: boolean;
  }
  | { readonly id: number; readonly kind: "close" };

/** Rows as arrays: two columns may have one name. */
export type CellsAnswer = {
  readonly columns: string[];
  /** The columns of numbers, also of those that come as text. */
  readonly areNumbers: boolean[];
  readonly rows: unknown[][];
};

export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: CellsAnswer | null }
  | {
    readonly id: number;
    readonly ok: false;
    readonly message: string;
    readonly code: string | null;
    readonly unexpectedRows: boolean;
  };

class UnexpectedRowsError extends Error {}

class NotReadingError extends Error {
  readonly code = "25006"; // PostgreSQL's own, of what a transaction that only reads refuses
}

/** The worker's own global, of which the page types know nothing. */
const thread = globalThis as unknown as {
  onmessage: (event: MessageEvent<Request>) => void;
  postMessage(message: Answer): void;
};

let database: PGlite | null = null;
let queue: Promise<void> = Promise.resolve();

thread.onmessage = (event) => {
  queue = queue.then(() => answer(event.data));
};

async function answer(request: Request): Promise<void> {
  try {
    const value = await handle(request);
    thread.postMessage({ id: request.id, ok: true, value });
  } catch (error) {
    thread.postMessage({
      id: request.id,
      ok: false,
      message: error instanceof Error ? error.message : String(error),
      code: (error as { code?: string }).code ?? null,
      unexpectedRows: error instanceof UnexpectedRowsError,
    });
  }
}

async function handle(request: Request): Promise<CellsAnswer | null> {
  switch (request.kind) {
    case "open":
      database = await PGlite.create(
        request.dataDirectory === null ? {} : { dataDir: request.dataDirectory },
      );
      await database.exec(MAKE_READER);
      return null;
    case "transaction":
      await transact(opened(), request.statements);
      return null;
    case "script":
      await runScript(opened(), request.sql);
      return null;
    case "query":
      return await query(opened(), request.sql, request.params, request.readOnly);
    case "close":
      await database?.close();
      database = null;
      return null;
    default:
      return request satisfies never;
  }
}

function opened(): PGlite {
  if (database === null) throw new Error("the database is not open");
  return database;
}

/** A script may open a transaction of its own: one that fails is rolled back. */
async function runScript(pg: PGlite, sql: string): Promise<void> {
  try {
    await pg.exec(sql);
  } catch (error) {
    await pg.exec("ROLLBACK");
    throw error;
  }
}

async function transact(pg: PGlite, statements: readonly Statement[]): Promise<void> {
  await pg.transaction(async (tx) => {
    for (const { sql, params, blob, expectRows } of statements) {
      const options = blob === undefined ? {} : { blob: new Blob([blob]) };
      const { affectedRows } = await tx.query(sql, params as unknown[] | undefined, options);
      if (expectRows !== undefined && affectedRows !== expectRows) {
        throw new UnexpectedRowsError(`${affectedRows} rows affected, not ${expectRows}: ${sql}`);
      }
    }
  });
}

async function query(
  pg: PGlite,
  sql: string,
  params: readonly unknown[],
  readOnly: boolean,
): Promise<CellsAnswer> {
  if (!readOnly) return await queryCells(pg, sql, params);
  if (!isReading(sql)) throw new NotReadingError(`must begin with ${READING_WORDS.join(", ")}`);
  return await pg.transaction(async (tx) => {
    await tx.exec(BECOME_READER);
    return await queryCells(tx, sql, params);
  });
}

const { FLOAT4, FLOAT8, INT2, INT4, INT8, MONEY, NUMERIC, OID } = types;
const NUMBER_TYPES: readonly number[] = [FLOAT4, FLOAT8, INT2, INT4, INT8, MONEY, NUMERIC, OID];

async function queryCells(
  on: Pick<PGlite, "query">,
  sql: string,
  params: readonly unknown[],
): Promise<CellsAnswer> {
  const { fields, rows } = await on.query<unknown[]>(sql, [...params], { rowMode: "array" });
  return {
    columns: fields.map((field) => field.name),
    areNumbers: fields.map((field) => NUMBER_TYPES.includes(field.dataTypeID)),
    rows,
  };
}
