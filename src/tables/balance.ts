import { emptyLedger, type Ledger } from "../core/ledger.ts";
import { type Dialect, POSTGRES } from "./dialect.ts";
import { dialectOf, type Query, type Row } from "./query.ts";
import { isPlayedInto } from "./migrations.ts";
import { toNumber, toNumberOrNull } from "./values.ts";

/*
 * The one answer to "does it balance?", for the page, the API, `verify`, `doctor` and the dashboards.
 * The ledger of a partition is held against the rows that its raw records became, by partition and
 * offset; what was not compared is named, and is never called balanced.
 */

/**
 * Who wrote the tables: a store of this process, where a position counts raw records, or sinks from
 * Kafka, whose offsets have holes.
 */
export type TablesOf = "store" | "sinks";

/** One thing that does not add up: what the ledger says, and what was found. */
export type Difference = {
  readonly partition: number;
  readonly what: string;
  readonly ledger: number;
  readonly found: number;
};

/** The dispositions found as rows. Ticks leave none. */
export type TableCounts = {
  readonly validated_ok: number;
  readonly validated_late: number;
  readonly late_events: number;
  readonly duplicate: number;
  readonly rejected: number;
};

/** Whether the tables balance, at one instant. */
export type Balance = {
  /** True: all was compared and is equal. Null: what was compared is equal, but not all was. */
  readonly balanced: boolean | null;
  /** By partition. */
  readonly differences: readonly Difference[];
  /** How many partitions were compared. */
  readonly partitions: number;
  /** Partitions that rows are being written of, and that have no account yet. */
  readonly notCompared: readonly number[];
  /** The sum of what was compared: the ledgers, and the rows found. */
  readonly ledger: Ledger;
  readonly tables: TableCounts;
};

/** The rows of a disposition, by the names that the ledger has. */
const TABLE_OF = {
  ok: "validated_ok",
  late: "validated_late",
  too_late: "late_events",
  duplicate: "duplicate",
  rejected: "rejected",
} as const satisfies Readonly<Record<string, keyof TableCounts>>;
const ROW_DISPOSITIONS = Object.keys(TABLE_OF) as (keyof typeof TABLE_OF)[];

/**
 * Every comparison as a row: `partition, what, ledger, found`; where the two differ it does not
 * balance, and where they are null nothing was compared. One statement, so that rows and ledger are
 * of one instant while commits go on.
 *
 * By rows it reads PostgreSQL's tables through. By days the readings are counted by the sums of their
 * days, which are written in the transaction of the rows: milliseconds, for dashboards; a row that
 * somebody took out or doubled by hand is seen by rows alone. The embedded store is always counted by
 * days, and everything by `verify`, which proves rows by their digests and the sums by the rows.
 */
export function balanceSql(
  of: TablesOf,
  { name = POSTGRES.name, by = "rows" }: { name?: Dialect["name"]; by?: "rows" | "days" } = {},
): string {
  const ledgers = ROW_DISPOSITIONS.map((name) => `coalesce(l.${name}, 0) AS ${name}`);
  const founds = ROW_DISPOSITIONS.map((name) => `coalesce(f.${name}, 0) AS found_${name}`);
  const all = ROW_DISPOSITIONS.map((name) => `found_${name}`).join(" + ");
  const selects = [
    ...ROW_DISPOSITIONS.map(compareDisposition),
    ...comparisons(all),
    ...UNREAD[of],
  ];
  return `WITH ${
    name === "sqlite"
      ? `${counted("meter_totals")}${FOUND}`
      : by === "days"
      ? `${counted("readings_meter_daily")}${FOUND}`
      : CLAIMED
  }
), days AS (
  SELECT source_partition AS partition, sum(readings) AS readings
  FROM readings_meter_daily GROUP BY source_partition
), known AS (
  SELECT partition FROM ledger UNION SELECT partition FROM positions
  UNION SELECT partition FROM found UNION SELECT partition FROM days
), held AS (
  SELECT k.partition, coalesce(l.raw, 0) AS raw, coalesce(l.tick, 0) AS tick,
         ${ledgers.join(",\n         ")},
         coalesce(p.next_offset, 0) AS next_offset,
         ${POSITION[of]} AS read_records,
         coalesce(f.claims, 0) AS claims, coalesce(f.offsets, 0) AS offsets,
         coalesce(f.end_offset, 0) AS end_offset,
         ${founds.join(",\n         ")},
         coalesce(d.readings, 0) AS day_readings
  FROM known k
  LEFT JOIN ledger l ON l.partition = k.partition
  LEFT JOIN positions p ON p.partition = k.partition
  LEFT JOIN found f ON f.partition = k.partition
  LEFT JOIN days d ON d.partition = k.partition
)
${unionAll(selects, name === "sqlite" ? COMPOUND_SELECTS_MAX : Infinity)}`;
}

/** What is compared besides the dispositions; `all` is the sum of the rows that were found. */
function comparisons(all: string): string[] {
  return [
    `SELECT partition, 'sum', raw, ${ROW_DISPOSITIONS.join(" + ")} + tick FROM held`,
    "SELECT partition, 'position', raw, read_records FROM held",
    `SELECT partition, 'rows with a disposition', claims,
       ${all} FROM held`,
    "SELECT partition, 'raw records with a row', claims, offsets FROM held",
    `SELECT partition, 'end of the rows', next_offset,
       CASE WHEN end_offset > next_offset THEN end_offset ELSE next_offset END FROM held`,
    "SELECT partition, 'readings by day', ok + late, day_readings FROM held",
  ];
}

/** SELECTs that may stand in one: SQLite takes 500, the SQLite of an edge platform (D1) takes 5. */
const COMPOUND_SELECTS_MAX = 5;

/** The rows of all SELECTs, one after the other. */
function unionAll(selects: readonly string[], selectsMax: number): string {
  if (selects.length <= selectsMax) return selects.join("\nUNION ALL\n");
  const groups: string[] = [];
  for (let at = 0; at < selects.length; at += selectsMax) {
    const group = selects.slice(at, at + selectsMax).join("\nUNION ALL\n");
    groups.push(`SELECT * FROM (${group})`);
  }
  return unionAll(groups, selectsMax);
}

/** The rows that raw records became, one by one. */
const CLAIMED = `claims AS (
  SELECT source_partition AS partition, source_offset,
         CASE status WHEN 'OK' THEN 'ok' WHEN 'LATE' THEN 'late' END AS what
  FROM validated_readings
  UNION ALL
  SELECT source_partition, source_offset, 'too_late' FROM late_events
  UNION ALL
  SELECT source_partition, source_offset,
         CASE WHEN reason IN ('DUPLICATE', 'CONFLICT') THEN 'duplicate' ELSE 'rejected' END
  FROM rejected_readings
), found AS (
  SELECT partition, sum(claims) AS claims, sum(offsets) AS offsets, max(end_offset) AS end_offset,
         ${ROW_DISPOSITIONS.map((name) => `sum(${name}) AS ${name}`).join(",\n         ")}
  FROM (
    SELECT partition, count(*) AS claims, count(DISTINCT source_offset) AS offsets,
           max(source_offset) + 1 AS end_offset,
           ${
  ROW_DISPOSITIONS.map((name) => `count(*) FILTER (WHERE what = '${name}') AS ${name}`)
    .join(",\n           ")
}
    FROM claims GROUP BY partition
    UNION ALL
    SELECT partition, ${ROW_DISPOSITIONS.join(" + ")},
           ${ROW_DISPOSITIONS.join(" + ")}, 0,
           ${ROW_DISPOSITIONS.join(", ")}
    FROM dropped
  ) AS there GROUP BY partition`;

/** The same, with the readings counted by their sums, which stay when retention drops days. */
const counted = (days: string) =>
  `counted AS (
  SELECT source_partition AS partition, sum(readings - late_readings) AS ok,
         sum(late_readings) AS late, 0 AS too_late, 0 AS duplicate, 0 AS rejected
  FROM ${days} GROUP BY source_partition
  UNION ALL
  SELECT source_partition, 0, 0, count(*), 0, 0 FROM late_events GROUP BY source_partition
  UNION ALL
  SELECT source_partition, 0, 0, 0,
         count(*) FILTER (WHERE reason IN ('DUPLICATE', 'CONFLICT')),
         count(*) FILTER (WHERE reason NOT IN ('DUPLICATE', 'CONFLICT'))
  FROM rejected_readings GROUP BY source_partition
  UNION ALL
  SELECT partition, 0, 0, too_late, duplicate, rejected FROM dropped`;

const FOUND = `
), found AS (
  SELECT partition, sum(${ROW_DISPOSITIONS.join(" + ")}) AS claims,
         sum(${ROW_DISPOSITIONS.join(" + ")}) AS offsets, 0 AS end_offset,
         ${ROW_DISPOSITIONS.map((name) => `sum(${name}) AS ${name}`).join(",\n         ")}
  FROM counted GROUP BY partition`;

function compareDisposition(name: string): string {
  return `SELECT partition, '${name}' AS what, ${name} AS ledger, found_${name} AS found FROM held`;
}

/** How many raw records a position stands for, at least as many as the ledger where it has holes. */
const POSITION: Readonly<Record<TablesOf, string>> = {
  store: "coalesce(p.next_offset, 0)",
  sinks: "CASE WHEN l.raw <= p.next_offset THEN l.raw ELSE coalesce(p.next_offset, 0) END",
};

const UNREAD: Readonly<Record<TablesOf, readonly string[]>> = {
  store: [],
  sinks: [
    `SELECT DISTINCT s.partition, 'account', CAST(NULL AS bigint), CAST(NULL AS bigint)
FROM sink_positions s LEFT JOIN known k ON k.partition = s.partition
WHERE s.messages > 0 AND k.partition IS NULL`,
  ],
};

/** Who has written a store's tables. */
export async function tablesOf(query: Query): Promise<TablesOf> {
  if (dialectOf(query).name === "sqlite") return "store";
  const asked = { query: async (sql: string) => ({ rows: await query(sql) }) };
  return await isPlayedInto(asked) ? "store" : "sinks";
}

/**
 * Compares ledger and rows of every partition. By rows it reads the tables through: seconds over
 * millions.
 */
export async function readBalance(
  query: Query,
  of: TablesOf,
  { by = "rows" }: { readonly by?: "rows" | "days" } = {},
): Promise<Balance> {
  const { name } = dialectOf(query);
  const rows = (await query(balanceSql(of, { name, by }))).map(comparisonOf)
    .sort((a, b) => a.partition - b.partition);
  const compared = rows.filter((row): row is Difference => row.ledger !== null);
  const differences = compared.filter(({ ledger, found }) => ledger !== found);
  const notCompared = rows.filter(({ ledger }) => ledger === null).map(({ partition }) =>
    partition
  );
  return {
    balanced: outcomeOf(differences, notCompared),
    differences,
    partitions: new Set(compared.map(({ partition }) => partition)).size,
    notCompared,
    ...sumCompared(compared),
  };
}

/** How a comparison came out: null where what was compared is equal, and not all was. */
export function outcomeOf(
  differences: readonly unknown[],
  notCompared: readonly number[],
): boolean | null {
  if (differences.length > 0) return false;
  return notCompared.length > 0 ? null : true;
}

type Comparison = Omit<Difference, "ledger"> & { readonly ledger: number | null };

function comparisonOf(row: Row): Comparison {
  return {
    partition: toNumber(row.partition),
    what: String(row.what),
    ledger: toNumberOrNull(row.ledger),
    found: toNumber(row.found),
  };
}

/** The ledger and the rows of all partitions. Ticks are what of the ledger's sum has no row. */
function sumCompared(compared: readonly Difference[]): { ledger: Ledger; tables: TableCounts } {
  const ledger = emptyLedger();
  const tables = { ...NO_ROWS };
  for (const { what, ledger: counted, found } of compared) {
    if (what === "sum") {
      ledger.raw += counted;
      ledger.tick += found;
    }
    const disposition = ROW_DISPOSITIONS.find((name) => name === what);
    if (disposition === undefined) continue;
    ledger[disposition] += counted;
    ledger.tick -= counted;
    tables[TABLE_OF[disposition]] += found;
  }
  return { ledger, tables };
}

const NO_ROWS = { validated_ok: 0, validated_late: 0, late_events: 0, duplicate: 0, rejected: 0 };

/** Rows missing from the tables (positive) or too many there (negative), all partitions together. */
export function missingRows({ ledger, tables }: Pick<Balance, "ledger" | "tables">): TableCounts {
  const missing = { ...NO_ROWS };
  for (const name of ROW_DISPOSITIONS) {
    missing[TABLE_OF[name]] = ledger[name] - tables[TABLE_OF[name]];
  }
  return missing;
}
