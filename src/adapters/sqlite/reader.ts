import { type Cells, namedRows, type QueryAnswer } from "./cells.ts";
import { type Dialect, SQLITE } from "../../tables/dialect.ts";
import type { Finding } from "../../tables/finding.ts";
import { SqlError, StoreError } from "./errors.ts";
import type { FileSize, ReaderRequest } from "./reader_thread.ts";
import { type PostedError, Thread } from "./thread.ts";

/** What reads one moment of a store: what is committed meanwhile does not show. */
export type Moment = {
  readonly dialect: Dialect;
  query(sql: string, params?: readonly unknown[]): Promise<QueryAnswer>;
  /** Proves the contents. It takes as long as it takes. */
  check(): Promise<readonly Finding[]>;
};

export type ReaderOptions = {
  /** A statement that takes longer is given up; Infinity: none is. */
  readonly statementMsMax: number;
};

/** Threads that read at a time. */
const THREADS_MAX = 2;
const PAGE_ROWS = 1000;

type ReaderThread = Thread<ReaderRequest>;

/** Reads a store beside whoever writes it. Nothing can be changed through it, and no file is made. */
export class StoreReader {
  readonly dialect = SQLITE;
  readonly #path: string;
  readonly #options: ReaderOptions;
  readonly #threads = new Set<ReaderThread>();
  readonly #idle: ReaderThread[] = [];
  readonly #waiting: ((thread: Promise<ReaderThread>) => void)[] = [];
  #isClosed = false;

  constructor(path: string, options: ReaderOptions) {
    this.#path = path;
    this.#options = options;
  }

  /**
   * Finds out now what is wrong with the file; else the first question does.
   *
   * @throws {SqlError} when it is not there, or cannot be read
   * @throws {StoreError} when it is not ours, or of a newer version
   */
  async open(): Promise<void> {
    await this.#with(() => Promise.resolve());
  }

  /** Runs one statement with its parameters ($1, $2, …); of two columns of one name the last is given. */
  query(sql: string, params: readonly unknown[] = []): Promise<QueryAnswer> {
    return this.#with((thread) => this.#query(thread, sql, params));
  }

  /** Runs work that sees one moment of the store. */
  transaction<T>(work: (moment: Moment) => Promise<T>): Promise<T> {
    return this.#with(async (thread) => {
      await thread.ask({ kind: "begin" });
      try {
        return await work({
          dialect: SQLITE,
          query: (sql, params = []) => this.#query(thread, sql, params),
          check: () => thread.ask({ kind: "check" }) as Promise<readonly Finding[]>,
        });
      } finally {
        await thread.ask({ kind: "end" }).catch(() => {}); // a thread given up has ended it
      }
    });
  }

  /** A statement's rows, up to `rowsMax`, page by page; `take` is called at least once. */
  pages(
    sql: string,
    rowsMax: number,
    take: (page: Cells & { readonly isLast: boolean }) => void,
  ): Promise<void> {
    return this.#with(async (thread) => {
      const columns = await this.#ask(thread, { kind: "pages", sql }) as string[];
      for (let left = rowsMax, isLast = false; !isLast;) {
        const wanted = Math.min(left, PAGE_ROWS);
        const rows = await this.#ask(thread, { kind: "page", rowsMax: wanted }) as unknown[][];
        left -= rows.length;
        isLast = rows.length < wanted || left <= 0;
        take({ columns, rows, isLast });
      }
    });
  }

  /** What SQLite's quick check finds wrong with the file; nothing: it is as it should be. */
  quickCheck(): Promise<readonly string[]> {
    return this.#with((thread) => thread.ask({ kind: "quickCheck" })) as Promise<string[]>;
  }

  /** What the file takes, and how much of it is free. */
  size(): Promise<FileSize> {
    return this.#with((thread) => thread.ask({ kind: "size" })) as Promise<FileSize>;
  }

  /**
   * Copies the store as it is at one moment into a file that is not there yet.
   *
   * @throws {SqlError} when it cannot be written
   */
  async copyInto(path: string): Promise<void> {
    await this.#with((thread) => thread.ask({ kind: "copy", into: path }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const closed = new Error("the store is closed");
    for (const thread of this.#threads) {
      // A thread that works is not waited for.
      if (thread.pending === 0) await thread.ask({ kind: "close" }).catch(() => {});
      thread.end(closed);
    }
    this.#threads.clear();
  }

  async #query(
    thread: ReaderThread,
    sql: string,
    params: readonly unknown[],
  ): Promise<QueryAnswer> {
    return namedRows(await this.#ask(thread, { kind: "cells", sql, params }) as Cells);
  }

  /** SQLite cannot be told to stop: a thread that takes too long is left to itself. */
  async #ask(thread: ReaderThread, request: ReaderRequest): Promise<unknown> {
    const { statementMsMax } = this.#options;
    if (statementMsMax === Infinity) return await thread.ask(request);
    const timer = setTimeout(() => {
      this.#threads.delete(thread);
      thread.end(new SqlError(`the statement took longer than ${statementMsMax / 1000} s`));
    }, statementMsMax);
    try {
      return await thread.ask(request);
    } finally {
      clearTimeout(timer);
    }
  }

  async #with<T>(work: (thread: ReaderThread) => Promise<T>): Promise<T> {
    const thread = await this.#take();
    try {
      return await work(thread);
    } finally {
      this.#give(thread);
    }
  }

  #take(): Promise<ReaderThread> {
    if (this.#isClosed) return Promise.reject(new Error("the store is closed"));
    const idle = this.#idle.pop();
    if (idle !== undefined) return Promise.resolve(idle);
    if (this.#threads.size < THREADS_MAX) return this.#start();
    return new Promise((resolve, reject) =>
      this.#waiting.push((thread) => thread.then(resolve, reject))
    );
  }

  #give(thread: ReaderThread): void {
    const isUsable = this.#threads.has(thread);
    const next = this.#waiting.shift();
    if (next !== undefined) next(isUsable ? Promise.resolve(thread) : this.#start());
    else if (isUsable) this.#idle.push(thread);
  }

  async #start(): Promise<ReaderThread> {
    const module = import.meta.resolve("./reader_thread.ts");
    const thread: ReaderThread = new Thread(module, errorOf);
    this.#threads.add(thread);
    try {
      await thread.ask({ kind: "open", path: this.#path, isImmutable: false });
      return thread;
    } catch (error) {
      this.#threads.delete(thread);
      thread.end(new Error("the store did not open"));
      throw error;
    }
  }
}

function errorOf({ name, message, code, hint }: PostedError): Error {
  if (name === "StoreError") return new StoreError(message, { hint });
  return code !== null || name === "SqlError" ? new SqlError(message, code) : new Error(message);
}
