import { SqlError } from "../adapters/pglite/client.ts";
import { readArguments, refuseTogether } from "../console/arguments.ts";
import { openStore } from "../setup/embedded.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { loadConfig, print, stdoutColumns } from "../console/shell.ts";
import { formatCsv, formatJson, formatTable } from "../console/table.ts";
import { catalogueLines } from "../tables/catalogue.ts";

export const usage = `Usage: gridwatch query "SELECT …" [options]

Runs one statement over the embedded store. It can only read: SELECT, WITH, VALUES, TABLE, SHOW or
EXPLAIN, as a role that may read every table and change nothing.

  --data DIR     the store (default: .gridwatch)
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
  const config = await loadConfig(values.config);
  const store = await openStore(values.data ?? config.data_directory, true);
  try {
    const { columns, areNumbers, rows } = await store.readCells(positionals[0]);
    if (values.json) print(formatJson(columns, rows));
    else if (values.csv) print(formatCsv(columns, rows, { areNumbers, isRaw: values.raw }));
    else {
      print(formatTable(columns, rows, { widthMax: stdoutColumns() }));
    }
    return 0;
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const more = error.code === NO_SUCH_TABLE ? catalogueLines() : [];
    throw new RunError(`Cannot query: ${error.message}`, hintFor(error), { cause: error, more });
  } finally {
    await store.close();
  }
}

const NO_SUCH_TABLE = "42P01";

/** SQLSTATE 25006: read-only transaction; 42501: no privilege. */
function hintFor({ code, message }: SqlError): string | undefined {
  switch (code) {
    case "25006":
    case "42501":
      return "`gridwatch query` only reads the store's tables";
    case NO_SUCH_TABLE:
      return "the tables and views:";
    default:
      return /multiple commands/.test(message) ? "one statement at a time" : undefined;
  }
}
