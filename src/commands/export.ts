import { parseTimestamp } from "../core/time.ts";
import { UTC_ZONE } from "../core/zone.ts";
import { readArguments } from "../console/arguments.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { openOutputFile, openOutputStream, type Output, writeAll } from "../console/output_file.ts";
import { formatCount } from "../console/progress.ts";
import { loadConfig, print, say, STOPPED_EXIT_CODE, stopSignal } from "../console/shell.ts";
import { formatCsv } from "../console/table.ts";
import { openStoreReader } from "../setup/store.ts";
import { exportDays, exportedDays, type ExportRow } from "../tables/export_days.ts";
import { Nem12IntervalError, nem12Text } from "../tables/nem12_text.ts";
import { type Query, queryOf } from "../tables/query.ts";
import { toNumber } from "../tables/values.ts";

export const usage = `Usage: gridwatch export FILE [options]

Writes the readings of the embedded store, by day, meter and time: what a billing system would take, each
value with its quality: in CSV CIM's code (IEC 61968-9) and the rules that it fails, in NEM12 its own.

  FILE              where to write; "-" is stdout
  --with-estimates  missing readings, too, as \`gridwatch estimate\` has made them
  --format FORMAT   csv (default), or nem12: whole days of the market's time, UTC+10
  --meter ID        of one meter
  --from TIME       from this day on (UTC)
  --to TIME         up to the day before this one
  --force           replace a file that is there already
  --data DIR        the store (default: .gridwatch)
  --config FILE     settings

Example:
  gridwatch estimate && gridwatch export january.csv --with-estimates --from 2013-01-01 --to 2013-02-01
`;

const OPTIONS = {
  "with-estimates": { type: "boolean", default: false },
  format: { type: "string", default: "csv" },
  meter: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  force: { type: "boolean", default: false },
  data: { type: "string" },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

const COLUMNS = [
  ...["meter_id", "channel", "timestamp", "consumption_kwh", "kind", "code", "method", "flags"],
];
const DAY_MS = 86_400_000;

/** Runs `gridwatch export`. */
export async function exportReadings(args: string[]): Promise<number> {
  const { values, positionals } = readArguments("export", args, OPTIONS, { takesWords: true });
  if (values.help) {
    print(usage);
    return 0;
  }
  if (positionals.length !== 1) {
    throw new UsageError("Cannot export: exactly one file is needed", "gridwatch export FILE");
  }
  const { format } = values;
  if (format !== "csv" && format !== "nem12") {
    throw new UsageError(`Cannot export with --format="${format}": must be csv or nem12`);
  }
  const fromDay = dayOf("from", values.from);
  const toDay = dayOf("to", values.to);
  const config = await loadConfig(values.config);
  const reader = await openStoreReader(values.data ?? config.data_directory, {
    statementMsMax: Infinity,
  });
  try {
    const query = queryOf(reader);
    const days = await exportedDays(query);
    const filter = {
      meterId: values.meter ?? null,
      fromDay: Math.max(fromDay ?? -Infinity, days?.first ?? 0),
      toDay: Math.min(toDay ?? Infinity, days === null ? 0 : days.last + 1),
      withEstimates: values["with-estimates"],
    };
    const [path] = positionals;
    const output = path === "-"
      ? openOutputStream((bytes) => writeAll(Deno.stdout, bytes))
      : await openOutputFile(path, { replaces: values.force });
    const counts = { measured: 0, estimated: 0 };
    const pages = counted(exportDays(query, filter), counts);
    const text = format === "csv" ? csvText(pages) : await nem12Of(query, pages);
    const isWhole = await writeText(output, text);
    if (!isWhole) return STOPPED_EXIT_CODE;
    const estimated = filter.withEstimates ? `, ${formatCount(counts.estimated)} estimated` : "";
    const where = path === "-" ? "stdout" : path;
    say(`${where}: ${formatCount(counts.measured)} readings measured${estimated}`);
    return 0;
  } finally {
    await reader.close();
  }
}

function dayOf(name: "from" | "to", text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseTimestamp(text, UTC_ZONE);
  if (!Number.isNaN(ms)) return Math.floor(ms / DAY_MS);
  throw new UsageError(
    `Cannot export with --${name}="${text}": must be a time, such as 2013-01-31`,
  );
}

type Counts = { measured: number; estimated: number };

async function* counted(
  pages: AsyncIterable<readonly ExportRow[]>,
  counts: Counts,
): AsyncGenerator<readonly ExportRow[]> {
  for await (const page of pages) {
    for (const { kind } of page) counts[kind]++;
    yield page;
  }
}

async function* csvText(pages: AsyncIterable<readonly ExportRow[]>): AsyncGenerator<string> {
  yield formatCsv(COLUMNS, []);
  for await (const page of pages) {
    const rows = page.map((row) => {
      const flags = row.flags.length === 0 ? null : row.flags.join(" ");
      const channel = row.channel === "" ? null : row.channel;
      return [row.meterId, channel, row.time, row.kwh, row.kind, row.code, row.method, flags];
    });
    yield formatCsv(COLUMNS, rows, { hasHeader: false });
  }
}

/** The same as NEM12; a meter's interval is what its gaps and days show. */
async function nem12Of(
  query: Query,
  pages: AsyncIterable<readonly ExportRow[]>,
): Promise<AsyncIterable<string>> {
  const rows = await query("SELECT meter_id, interval_seconds FROM meter_intervals");
  const minutes = new Map(
    rows.map((row) => [String(row.meter_id), Math.round(toNumber(row.interval_seconds) / 60)]),
  );
  return nem12Text(pages, {
    minutesOf: (meterId) => minutes.get(meterId) ?? 0,
    writtenMs: Date.now(),
  });
}

/** Writes it all; false: it was stopped, and nothing is there. */
async function writeText(output: Output, text: AsyncIterable<string>): Promise<boolean> {
  const encoder = new TextEncoder();
  const stop = stopSignal(() => {});
  try {
    for await (const part of text) {
      await output.write(encoder.encode(part));
      if (!stop.signal.aborted) continue;
      await output.abort();
      return false;
    }
    await output.commit();
    return true;
  } catch (error) {
    await output.abort();
    if (!(error instanceof Nem12IntervalError)) throw error;
    throw new RunError(`Cannot export as NEM12: ${error.message}`, "export it as csv", {
      cause: error,
    });
  } finally {
    stop.release();
  }
}
