import { parseTimestamp } from "../core/time.ts";
import { UTC_ZONE } from "../core/zone.ts";
import { readArguments } from "../console/arguments.ts";
import { UsageError } from "../console/errors.ts";
import { openOutputFile, openOutputStream, type Output, writeAll } from "../console/output_file.ts";
import { formatCount } from "../console/progress.ts";
import { loadConfig, print, say, STOPPED_EXIT_CODE, stopSignal } from "../console/shell.ts";
import { formatCsv } from "../console/table.ts";
import { openStoreReader } from "../setup/store.ts";
import {
  exportDays,
  exportedDays,
  type ExportFilter,
  type ExportRow,
} from "../tables/export_days.ts";
import { queryOf } from "../tables/query.ts";

export const usage = `Usage: gridwatch export FILE [options]

Writes the readings of the embedded store as CSV, by day, meter and time: what a billing system would
take, each value with its quality code (CIM, IEC 61968-9) and the rules that it fails.

  FILE              where to write; "-" is stdout
  --with-estimates  missing readings, too, as \`gridwatch estimate\` has made them
  --format csv      the only one so far
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
  if (values.format !== "csv") {
    throw new UsageError(`Cannot export with --format="${values.format}": must be csv`);
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
    return await writeRows(output, exportDays(query, filter), { path, filter });
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

async function writeRows(
  output: Output,
  pages: AsyncIterable<readonly ExportRow[]>,
  { path, filter }: { readonly path: string; readonly filter: ExportFilter },
): Promise<number> {
  const encoder = new TextEncoder();
  const counts = { measured: 0, estimated: 0 };
  const stop = stopSignal(() => {});
  try {
    await output.write(encoder.encode(formatCsv(COLUMNS, [])));
    for await (const page of pages) {
      const rows = page.map((row) => {
        counts[row.kind]++;
        const flags = row.flags.length === 0 ? null : row.flags.join(" ");
        const channel = row.channel === "" ? null : row.channel;
        return [row.meterId, channel, row.time, row.kwh, row.kind, row.code, row.method, flags];
      });
      await output.write(encoder.encode(formatCsv(COLUMNS, rows, { hasHeader: false })));
      if (!stop.signal.aborted) continue;
      await output.abort();
      return STOPPED_EXIT_CODE;
    }
    await output.commit();
  } catch (error) {
    await output.abort();
    throw error;
  } finally {
    stop.release();
  }
  const estimated = filter.withEstimates ? `, ${formatCount(counts.estimated)} estimated` : "";
  say(
    `${path === "-" ? "stdout" : path}: ${
      formatCount(counts.measured)
    } readings measured${estimated}`,
  );
  return 0;
}
