import { SqlError } from "./errors.ts";
import { type Database, prepareCells, type Statement } from "./library.ts";

/** Rows as arrays: two columns may have one name. */
export type Cells = { readonly columns: string[]; readonly rows: unknown[][] };

/** Rows by their columns' names. */
export type QueryAnswer = {
  readonly columns: string[];
  readonly rows: Record<string, unknown>[];
};

/** Prepares one statement; SQLite would pass over what follows it. */
export function prepareOne(database: Database, sql: string): Statement {
  const statement = prepareCells(database, sql);
  statement.setReadBigInts(true);
  const rest = sql.slice(statement.sourceSQL.length);
  if (rest.replace(/--[^\n]*|\/\*[^]*?(\*\/|$)|[\s;]+/g, "") !== "") {
    throw new SqlError("one statement at a time");
  }
  return statement;
}

/** Runs one statement with its parameters ($1, $2, …). */
export function readCells(database: Database, sql: string, params: readonly unknown[]): Cells {
  const statement = prepareOne(database, sql);
  const named = Object.fromEntries(params.map((value, at) => [`$${at + 1}`, value]));
  const rows =
    (params.length === 0
      ? statement.all()
      : statement.all(named as never)) as unknown as unknown[][];
  return { columns: columnsOf(statement), rows: rows.map(narrowed) };
}

/** The names of a statement's columns. */
export function columnsOf(statement: Statement): string[] {
  return statement.columns().map(({ name }) => name);
}

/** Whole numbers come as bigints, lest a large one is refused; those that a number holds become one. */
export function narrowed(row: unknown[]): unknown[] {
  for (let at = 0; at < row.length; at++) {
    const cell = row[at];
    if (typeof cell !== "bigint") continue;
    const number = Number(cell);
    if (Number.isSafeInteger(number)) row[at] = number;
  }
  return row;
}

/** The same rows by name; of two columns of one name the last is given. */
export function namedRows({ columns, rows }: Cells): QueryAnswer {
  return {
    columns,
    rows: rows.map((row) => Object.fromEntries(columns.map((column, at) => [column, row[at]]))),
  };
}
