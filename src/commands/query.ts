import { isForbidden, SqlError } from "../adapters/sqlite/errors.ts";
import type { StoreReader } from "../adapters/sqlite/reader.ts";
import { readArguments, readNumber, refuseTogether } from "../console/arguments.ts";
import { formatCount } from "../console/progress.ts";
import { openStoreReader } from "../setup/store.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { loadConfig, print, say, stdoutColumns } from "../console/shell.ts";
import { formatCsv, formatJson, formatTable, jsonObjects } from "../console/table.ts";
import { catalogueLines } from "../tables/catalogue.ts";

export const usage = `Usage: gridwatch query "SELECT …" [options]

Runs one statement over the embedded store, also while a run writes it. It can only read: SELECT,
WITH, VALUES, EXPLAIN, and PRAGMA table_list or table_info(NAME).

  --data DIR     the store (default: .gridwatch)
  --limit N      rows at most (default: 1000 as a table, all as CSV and JSON)
  --json         instead of a table, an array of one object a row; a column name that comes again
                 gets _2, _3, …
  --csv          instead of a table, as PostgreSQL's CSV: null is empty, the empty text is "". A text
                 (never a number) that begins with = + - @, a tab or a line's end gets an apostrophe
                 before it, lest a spreadsheet run it as a formula
  --raw          with --csv: every text as it is, without that apostrophe
  --config FILE  settings

Tables and views:
${catalogueLines().join("\n")}

Examples:
  gridwatch query "SELECT * FROM gap_status ORDER BY known_minutes DESC LIMIT 10"
  gridwatch query "SELECT reason, count(*) FROM rejected_readings GROUP BY 1" --csv
`;

const OPTIONS = {
  data: { type: "string" },
  limit: { type: "string" },
  json: { type: "boolean", default: false },
  csv: { type: "boolean", default: false },
  raw: { type: "boolean", default: false },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Runs `gridwatch query`. */
export async function query(args: string[]): Promise<number> {
  const { values, positionals } = readArguments("query", args, OPTIONS, { takesWords: true });
  if (values.help) {
    print(usage);
    return 0;
  }
  if (positionals.length !== 1) {
    throw new UsageError("Cannot query: exactly one statement is needed", "put it in quotes");
  }
  refuseTogether("query", values, ["json", "csv"]);
  if (values.raw && !values.csv) {
    throw new UsageError("Cannot query with --raw: must come with --csv", "gridwatch query --help");
  }
  const rowsMax = values.limit === undefined
    ? null
    : readNumber("query", "limit", values.limit, { min: 1, max: 1e12, whole: true });
  const config = await loadConfig(values.config);
  const directory = values.data ?? config.data_directory;
  const reader = await openStoreReader(directory, { statementMsMax: Infinity });
  try {
    const [sql] = positionals;
    if (values.json) await printJson(reader, sql, rowsMax ?? Infinity);
    else if (values.csv) await printCsv(reader, sql, rowsMax ?? Infinity, values.raw);
    else await printTable(reader, sql, rowsMax);
    return 0;
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const more = isNoTable(error) ? catalogueLines() : [];
    throw new RunError(`Cannot query: ${error.message}`, hintFor(error), { cause: error, more });
  } finally {
    await reader.close();
  }
}

const TABLE_ROWS_MAX = 1000;

async function printTable(
  reader: StoreReader,
  sql: string,
  rowsMax: number | null,
): Promise<void> {
  const wanted = rowsMax ?? TABLE_ROWS_MAX;
  const rows: unknown[][] = [];
  let columns: string[] = [];
  // One more than is shown, to learn whether there are more.
  await reader.pages(sql, wanted + 1, (page) => {
    columns = page.columns;
    for (const row of page.rows) rows.push(row);
  });
  print(formatTable(columns, rows.slice(0, wanted), { widthMax: stdoutColumns() }));
  if (rows.length <= wanted || rowsMax !== null) return;
  say(`note: there are more than these ${formatCount(wanted)} rows: --limit N, --csv or --json`);
}

async function printCsv(
  reader: StoreReader,
  sql: string,
  rowsMax: number,
  isRaw: boolean,
): Promise<void> {
  let hasHeader = true;
  await reader.pages(sql, rowsMax, ({ columns, rows }) => {
    const text = formatCsv(columns, rows, { isRaw, hasHeader });
    hasHeader = false;
    if (text !== "") print(text);
  });
}

async function printJson(reader: StoreReader, sql: string, rowsMax: number): Promise<void> {
  let before: "[\n" | "," = "[\n";
  await reader.pages(sql, rowsMax, ({ columns, rows, isLast }) => {
    if (isLast && before !== ",") return print(formatJson(columns, rows));
    const objects = jsonObjects(columns, rows);
    if (objects.length > 0) print(`${before}${objects.join(",\n")}`);
    before = ",";
    if (isLast) print("]");
  });
}

/** SQLite has one code for whatever is wrong with a statement. */
const isNoTable = ({ message }: SqlError) => /^no such table/.test(message);

function hintFor(error: SqlError): string | undefined {
  if (isForbidden(error)) return "`gridwatch query` only reads the store's tables";
  return isNoTable(error) ? "the tables and views:" : undefined;
}
