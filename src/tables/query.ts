import { type Dialect, POSTGRES } from "./dialect.ts";

/** A store's row, by column. */
export type Row = Record<string, unknown>;

/**
 * Parameterised SQL ($1, $2, …) over the tables of sql/. Only ever read.
 * A bigint may come back as a number, a string or a bigint; a timestamptz as a Date or a string.
 */
export type Query = ((sql: string, params?: unknown[]) => Promise<Row[]>) & {
  /** What the store speaks; PostgreSQL's unless it says. */
  readonly dialect?: Dialect;
};

/** What a store speaks. */
export function dialectOf({ dialect = POSTGRES }: { readonly dialect?: Dialect }): Dialect {
  return dialect;
}

/** Which rows of a list are wanted. */
export type ListPage = { readonly limit: number; readonly offset: number };

/** The part of a database client that reading needs. */
export type Reader = {
  /** What it speaks; PostgreSQL's unless it says. */
  readonly dialect?: Dialect;
  query(sql: string, params?: readonly unknown[]): Promise<{ rows: Row[] }>;
};

/** A client's answers as rows alone. */
export function queryOf(reader: Reader): Query {
  const { dialect } = reader;
  const query = async (sql: string, params?: unknown[]) => (await reader.query(sql, params)).rows;
  return Object.assign(query, { dialect });
}
