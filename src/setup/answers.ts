import type { Undigested } from "../adapters/postgres/check.ts";
import type { Ledger } from "../core/ledger.ts";
import type { PartitionVerified } from "../engine/verify/partition.ts";
import type { Warning } from "../replay/records.ts";
import type { Difference } from "../tables/balance.ts";
import type { KeyedKpis, Kpis } from "../tables/kpi.ts";
import type { Dropped } from "../tables/dropped.ts";
import type { Finding } from "../tables/finding.ts";
import type { Summary } from "../tables/summary.ts";

/*
 * What commands print with --json. The names are public: only add to them. docs/schemas/ is made of
 * these types by `deno task schemas`.
 */

/** What `run --json` prints, and `demo` and `replay` as they end: what the store holds then. */
export type RunAnswer = Summary & {
  /** How long this run took. */
  readonly seconds: number;
  readonly readings_per_second: number;
  /** What a person should know of the input played last, and of what the store holds. */
  readonly warnings: readonly Warning[];
};

/** What `verify --json` prints: of the embedded store, of a database's tables, or of topics. */
export type VerifyAnswer = StoreVerified | TablesVerified | TopicsVerified;

/** The embedded store. */
export type StoreVerified = {
  readonly balanced: boolean;
  readonly ledger: Ledger;
  /** Between rows and ledger, and what is damaged. */
  readonly differences: readonly (Difference | Finding)[];
  /** What `retention_days` has dropped of the rows that the ledger counts; null: nothing. */
  readonly dropped: Dropped | null;
};

/** The tables of a database, as sinks or runs have written them. */
export type TablesVerified = RowsVerified & {
  /** Null: what was compared is equal, but not all was. */
  readonly balanced: boolean | null;
  readonly ledger: Ledger;
  /** Partitions that have rows and no account yet. */
  readonly not_compared: readonly number[];
};

/** The rows of a database. */
export type RowsVerified = {
  /** Between rows and ledger, and rows that are not as they were written. */
  readonly differences: readonly (Difference | Finding)[];
  /** Messages that the database refused. */
  readonly refused: number;
  /** What TimescaleDB's retention has dropped of the rows that the ledger counts; null: nothing. */
  readonly dropped: Dropped | null;
  /** Rows that were there before the database kept digests: counted, and not proven. */
  readonly not_digested: readonly Undigested[];
  /** When the database began to keep digests, where something is not digested. */
  readonly digested_since: string | null;
};

/** The output topics, recomputed from the raw topic. */
export type TopicsVerified = {
  /** Null: what was compared is equal, but not all was. */
  readonly balanced: boolean | null;
  readonly ledger: Ledger;
  /** How many raw records of each partition were read. */
  readonly partitions: readonly { readonly partition: number; readonly raw: number }[];
  /** Of each partition the first ones. */
  readonly differences: readonly PartitionVerified["differences"][number][];
  /** How many differences are not listed. */
  readonly more_differences: number;
  /** Partitions of which nothing is processed yet, or that have no account in the tables. */
  readonly not_compared: readonly number[];
  /** Partitions whose older raw records are deleted: they are not compared. */
  readonly history_deleted: readonly {
    readonly partition: number;
    readonly before_offset: number;
  }[];
  readonly meters_in_several_partitions: number;
  /** Where a database is named: its tables, held against the topics. */
  readonly tables?: RowsVerified & { readonly ledger: Ledger };
};

/** What `kpi --json` prints: figures of all, or with --by a list of them, each with its key. */
export type KpiAnswer = Kpis | readonly KeyedKpis[];

/** What `query --json` prints: an object a row, by the names of its columns. */
export type QueryAnswer = readonly { readonly [column: string]: Json }[];

/** Any value of JSON. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json };
