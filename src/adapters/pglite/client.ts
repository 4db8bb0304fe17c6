import type { Answer, CellsAnswer, Request, Statement } from "./worker.ts";

/** A request without its number: what a caller asks for. */
type Ask = Request extends infer R ? R extends { id: number } ? Omit<R, "id"> : never : never;

/** Rows by their columns' names. */
export type QueryAnswer = {
  readonly columns: string[];
  readonly rows: Record<string, unknown>[];
};

/** What PostgreSQL said no to. `code` is its SQLSTATE. */
export class SqlError extends Error {
  override name = "SqlError";
  constructor(message: string, readonly code: string | null, readonly unexpectedRows: boolean) {
    super(message);
  }
}

/** PGlite in a thread of its own; requests are answered in the order they are made. */
export class PgliteClient {
  readonly #worker: Worker;
  readonly #waiting = new Map<
    number,
    { resolve(value: CellsAnswer | null): void; reject(error: Error): void }
  >();
  #nextId = 1;
  #failure: Error | null = null;

  private constructor() {
    this.#worker = new Worker(import.meta.resolve("./worker.ts"), { type: "module" });
    this.#worker.onmessage = (event: MessageEvent<Answer>) => this.#settle(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(`the database thread failed: ${event.message}`));
    };
  }

  /** Opens (and creates) the database in a directory; null: in memory. */
  static async open(dataDirectory: string | null): Promise<PgliteClient> {
    const client = new PgliteClient();
    try {
      await client.#ask({ kind: "open", dataDirectory });
    } catch (error) {
      client.#worker.terminate();
      throw error;
    }
    return client;
  }

  /** Runs statements in one transaction, all or none. The blobs are handed over, not copied. */
  async transaction(statements: Statement[]): Promise<void> {
    const blobs = statements.flatMap(({ blob }) => blob === undefined ? [] : [blob.buffer]);
    await this.#ask({ kind: "transaction", statements }, [...new Set(blobs)]);
  }

  /** Runs a script of any number of statements. */
  async script(sql: string): Promise<void> {
    await this.#ask({ kind: "script", sql });
  }

  /** Runs one statement and gives its rows; of two columns of one name the last is given. */
  async query(
    sql: string,
    params: readonly unknown[] = [],
    options: { readOnly?: boolean } = {},
  ): Promise<QueryAnswer> {
    const { columns, rows } = await this.queryCells(sql, params, options);
    const named = rows.map((row) =>
      Object.fromEntries(columns.map((column, i) => [column, row[i]]))
    );
    return { columns, rows: named };
  }

  /** Runs one statement and gives its rows as arrays. */
  async queryCells(
    sql: string,
    params: readonly unknown[] = [],
    { readOnly = false } = {},
  ): Promise<CellsAnswer> {
    const answer = await this.#ask({ kind: "query", sql, params, readOnly });
    if (answer === null) throw new Error("the database gave no rows");
    return answer;
  }

  /** Closes the database and ends the thread. */
  async close(): Promise<void> {
    if (this.#failure !== null) return this.#worker.terminate();
    const closing = this.#ask({ kind: "close" });
    this.#failure = new Error("the database is closed");
    try {
      await closing;
    } finally {
      this.#worker.terminate();
    }
  }

  #ask(ask: Ask, transfer: Transferable[] = []): Promise<CellsAnswer | null> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...ask, id }, transfer);
    });
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.ok) waiting?.resolve(answer.value);
    else waiting?.reject(new SqlError(answer.message, answer.code, answer.unexpectedRows));
  }

  #fail(error: Error): void {
    this.#failure = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
