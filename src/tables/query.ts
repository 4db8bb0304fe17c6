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
