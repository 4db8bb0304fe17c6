/** A thread that reads a store, and can do nothing else. */
import { columnsOf, narrowed, prepareOne, readCells } from "./cells.ts";
import { checkFile } from "./check.ts";
import { AUTHORIZATION, isForbidden, SqlError, StoreError } from "./errors.ts";
import { backup } from "node:sqlite";
import { type Database, openFile, SQLITE } from "./library.ts";
import { identityOf, pragma } from "./schema.ts";
import { answerRequests } from "./thread.ts";

/** What a reader is asked. */
export type ReaderRequest =
  | { readonly kind: "open"; readonly path: string; readonly isImmutable: boolean }
  | { readonly kind: "begin" | "end" }
  | { readonly kind: "cells"; readonly sql: string; readonly params: readonly unknown[] }
  /** The first rows of a statement, then further ones. */
  | { readonly kind: "pages"; readonly sql: string }
  | { readonly kind: "page"; readonly rowsMax: number }
  | { readonly kind: "check" | "quickCheck" | "size" }
  /** A copy of the store, of one moment, into a file that is not there yet. */
  | { readonly kind: "copy"; readonly into: string }
  | { readonly kind: "close" };

/** What a store's file takes, and how much of that nothing stands in. */
export type FileSize = { readonly bytes: number; readonly freeBytes: number };

/** A reader that waits no longer than this for another that puts a broken-off WAL in order. */
const BUSY_MS = 5000;
/** PRAGMAs that tell of the tables; no other is answered. */
const PRAGMAS = ["table_list", "table_info", "table_xinfo", "index_list", "index_info"];

/** More pages than a file can have: a copy in one step is of one moment. */
const PAGES_MAX = 2 ** 31 - 1;

let database: Database | null = null;
let pages: Iterator<unknown> | null = null;
/** True while a statement is one of ours, which may more than read tables. */
let isOurs = false;

/** An answer; a statement that wants more than to read is refused in words of ours. */
function answer(request: ReaderRequest): unknown {
  try {
    return handle(request);
  } catch (error) {
    if (!isForbidden(error)) throw error;
    throw new SqlError("the statement does more than read", AUTHORIZATION, { cause: error });
  }
}

function handle(request: ReaderRequest): unknown {
  switch (request.kind) {
    case "open":
      return open(request.path, request.isImmutable);
    case "begin":
      return ours(() => opened().exec("BEGIN"));
    case "end":
      return ours(() => opened().exec("ROLLBACK"));
    case "cells":
      return readCells(opened(), request.sql, request.params);
    case "pages":
      return beginPages(request.sql);
    case "page":
      return nextPage(request.rowsMax);
    case "check":
      return ours(() => checkFile(opened()));
    case "quickCheck":
      return ours(() => quickCheck(opened()));
    case "size":
      return ours(() => sizeOf(opened()));
    case "copy":
      return copyInto(opened(), request.into);
    case "close":
      pages?.return?.();
      database?.close();
      database = null;
      return null;
    default:
      return request satisfies never;
  }
}

function open(path: string, isImmutable: boolean): null {
  const url = `file:${encodeURI(path).replaceAll("?", "%3F").replaceAll("#", "%23")}?immutable=1`;
  database = openFile(isImmutable ? url : path, { readOnly: true, busyMs: BUSY_MS });
  if (identityOf(database, path) === "empty") {
    throw new StoreError(`${path} is empty: nothing was played into it yet`, {
      hint: "`gridwatch run FILE` makes a store of it",
    });
  }
  database.exec("PRAGMA query_only = ON");
  database.exec("PRAGMA cell_size_check = ON");
  database.setAuthorizer(decide);
  return null;
}

/** What SQLite itself finds wrong with pages and rows; it passes over the indexes. */
function quickCheck(database: Database): string[] {
  const rows = database.prepare("PRAGMA quick_check(10)").all();
  return rows.map((row) => String(Object.values(row)[0])).filter((message) => message !== "ok");
}

function sizeOf(database: Database): FileSize {
  const pageBytes = pragma(database, "page_size");
  const bytes = pageBytes * pragma(database, "page_count");
  return { bytes, freeBytes: pageBytes * pragma(database, "freelist_count") };
}

function opened(): Database {
  if (database === null) throw new Error("the store is not open");
  return database;
}

function ours<T>(work: () => T): T {
  isOurs = true;
  try {
    return work();
  } finally {
    isOurs = false;
  }
}

/** By the online backup: ATTACH, which VACUUM INTO needs, is not for a process with few permissions. */
async function copyInto(database: Database, path: string): Promise<null> {
  await backup(database, path, { rate: PAGES_MAX });
  return null;
}

/** Whether a statement may do this. https://www.sqlite.org/c3ref/set_authorizer.html */
function decide(action: number, name: string | null, second: string | null): number {
  if (isOurs) return SQLITE.SQLITE_OK;
  switch (action) {
    case SQLITE.SQLITE_SELECT:
    case SQLITE.SQLITE_READ:
    case SQLITE.SQLITE_RECURSIVE:
      return SQLITE.SQLITE_OK;
    case SQLITE.SQLITE_FUNCTION:
      return second === "load_extension" ? SQLITE.SQLITE_DENY : SQLITE.SQLITE_OK;
    case SQLITE.SQLITE_PRAGMA:
      return PRAGMAS.includes(name ?? "") ? SQLITE.SQLITE_OK : SQLITE.SQLITE_DENY;
    default:
      return SQLITE.SQLITE_DENY;
  }
}

function beginPages(sql: string): string[] {
  pages?.return?.();
  const statement = prepareOne(opened(), sql);
  pages = statement.iterate();
  return columnsOf(statement);
}

/** Up to so many rows more; fewer: these were the last. */
function nextPage(rowsMax: number): unknown[][] {
  const rows: unknown[][] = [];
  while (pages !== null && rows.length < rowsMax) {
    const { value, done } = pages.next();
    if (done) pages = null;
    else rows.push(narrowed(value as unknown[]));
  }
  return rows;
}

answerRequests(answer);
