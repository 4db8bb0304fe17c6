import { constants, DatabaseSync, type StatementSync } from "node:sqlite";

/** What of `node:sqlite` its types do not know yet. https://nodejs.org/api/sqlite.html */
type Newer = {
  setAuthorizer(decide: ((action: number, ...names: (string | null)[]) => number) | null): void;
};

/** A database file of SQLite. */
export type Database = DatabaseSync & Newer;

/** A prepared statement whose rows come as arrays. */
export type Statement = StatementSync & { setReturnArrays(enabled: boolean): void };

/** How the file is opened. A file that is only read is never made. */
export type OpenOptions = { readonly readOnly: boolean; readonly busyMs: number };

/** Opens a file. No extension can be loaded, and a text in double quotes is no string. */
export function openFile(path: string, { readOnly, busyMs }: OpenOptions): Database {
  const options = { readOnly, allowExtension: false, timeout: busyMs };
  const database = new DatabaseSync(path, options as ConstructorParameters<typeof DatabaseSync>[1]);
  return database as Database;
}

/** Prepares a statement whose rows come as arrays: two columns may have one name. */
export function prepareCells(database: DatabaseSync, sql: string): Statement {
  const statement = database.prepare(sql) as Statement;
  statement.setReturnArrays(true);
  return statement;
}

/** SQLite's numbers, by the names of its documentation. */
export const SQLITE = constants as unknown as Readonly<Record<string, number>>;
