import type { AuditAnswer } from "../audit/answer.ts";
import { type Audited, auditFiles } from "../audit/audit_files.ts";
import { byDay } from "../audit/by_day.ts";
import { DAY_COLUMNS, describeAudit, gapsCsv, SERIES_COLUMNS } from "../audit/text.ts";
import { newReportNotes, noteSeries, type ReportNotes } from "../audit/report_notes.ts";
import { readArguments, readNumber } from "../console/arguments.ts";
import { UsageError } from "../console/errors.ts";
import { openOutputFile } from "../console/output_file.ts";
import {
  loadConfig,
  print,
  say,
  shellProgress,
  stdoutColumns,
  STOPPED_EXIT_CODE,
  stopSignal,
} from "../console/shell.ts";
import { formatTable } from "../console/table.ts";
import { VERSION } from "../console/version.ts";
import { parseTimestamp } from "../core/time.ts";
import { decide } from "../formats/decided.ts";
import { UTC_ZONE } from "../core/zone.ts";
import { judgedAs, processorOptions } from "../judging.ts";
import { sayFaults, sayInspection } from "../setup/input_findings.ts";
import {
  findFiles,
  FORMAT_OPTIONS,
  FORMAT_USAGE,
  foundLines,
  meterFiles,
  readFormatOptions,
} from "../setup/meter_files.ts";

export const usage = `Usage: gridwatch audit FILE… [options]

Says whether meter files are any good, without a store: complete or not, every gap, repeats and
conflicts, bad values, changes of clock and interval. Each series is judged by itself, in time order;
gaps are those that \`gridwatch run\` finds.

  FILE…                 CSV with a meter, a time and a value column, in any order
  --target P            percent of the intervals that must be there (default: 100); given, and
                        missed: exit code 4
  --json                the whole answer as one JSON object on stdout
  --html FILE.html      the report: one page with pictures, that needs nothing else
  --gaps FILE.csv       every gap, a line each
  --by series|day       a table of the series, or of the days, on stdout
  --force               replace files that are there already
  --timezone ZONE       the zone of times without an offset, and of days (default: timezone)
${FORMAT_USAGE}
  --now ISO             readings dated after this are from the future (default: now)
  --quiet               no progress, no warnings
  --config FILE         settings (default: config/config.yaml, where there is one)

Exit code: 0 done, 1 nothing usable could be read, 2 usage, 4 the target was missed.

Examples:
  gridwatch audit data/sample/london_MAC000002.csv
  gridwatch audit *.csv --target 99.5 --json
`;

const OPTIONS = {
  target: { type: "string" },
  json: { type: "boolean", default: false },
  html: { type: "string" },
  gaps: { type: "string" },
  by: { type: "string" },
  force: { type: "boolean", default: false },
  timezone: { type: "string" },
  ...FORMAT_OPTIONS,
  now: { type: "string" },
  quiet: { type: "boolean", default: false },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

type Values = ReturnType<typeof readArguments<typeof OPTIONS>>["values"];

/** Exit code where a target was missed. */
const MISSED_EXIT_CODE = 4;

/** Runs `gridwatch audit`. */
export async function audit(args: string[]): Promise<number> {
  const { values, positionals } = readArguments("audit", args, OPTIONS, { takesWords: true });
  if (values.help) {
    print(usage);
    return 0;
  }
  checkValues(values, positionals);
  const target = values.target === undefined
    ? 100
    : readNumber("audit", "target", values.target, { min: 0, max: 100 });
  const stop = stopSignal(() => say("stopping: nothing is written"));
  try {
    const notes = values.html === undefined ? null : newReportNotes();
    const audited = await readFiles(positionals, values, { target, signal: stop.signal, notes });
    if (notes !== null) {
      const facts = {
        ...audited,
        files: positionals,
        notes,
        target,
        maker: `Gridwatch ${VERSION}`,
      };
      const { reportOf } = await import("../audit/html/report_html.ts");
      await writeText(values.html!, [reportOf(facts)], { replaces: values.force });
    }
    await report(audited, values, target);
    const { pass } = audited.answer.verdict;
    const isBroken = audited.inspection.files.some(({ faults }) => faults.length > 0);
    if (audited.answer.accepted === 0 || isBroken) return 1;
    return values.target !== undefined && !pass ? MISSED_EXIT_CODE : 0;
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return STOPPED_EXIT_CODE;
    throw error;
  } finally {
    stop.release();
  }
}

function checkValues({ by, gaps, html }: Values, paths: readonly string[]): void {
  if (paths.length === 0) {
    throw new UsageError(
      "Cannot audit: no file named",
      "gridwatch audit data/sample/london_MAC000002.csv",
    );
  }
  if (by !== undefined && by !== "series" && by !== "day") {
    throw new UsageError(`Cannot audit with --by="${by}": must be series or day`);
  }
  if (gaps === "") throw new UsageError('Cannot audit with --gaps="": must be a file');
  if (html === "") throw new UsageError('Cannot audit with --html="": must be a file');
  const [twice] = paths.filter((path, p) => paths.indexOf(path) < p);
  if (twice !== undefined) {
    throw new UsageError(`Cannot audit "${twice}" twice in one command`, "name it once");
  }
  const recorded = paths.find((path) => path.endsWith(".jsonl"));
  if (recorded !== undefined) {
    throw new UsageError(
      `Cannot audit ${recorded}: a recorded raw topic is no meter file`,
      "gridwatch run plays it",
    );
  }
}

async function readFiles(
  paths: readonly string[],
  values: Values,
  { target, signal, notes }: {
    readonly target: number;
    readonly signal: AbortSignal;
    readonly notes: ReportNotes | null;
  },
): Promise<Audited> {
  const config = await loadConfig(values.config);
  const nowMs = values.now === undefined ? Date.now() : parseTimestamp(values.now, UTC_ZONE);
  if (Number.isNaN(nowMs)) {
    throw new UsageError(
      `Cannot audit with --now="${values.now}": must be an ISO 8601 time, such as 2030-01-01`,
    );
  }
  const format = await readFormatOptions("audit", values);
  const found = await findFiles(paths, format);
  const { timezone } = values;
  const judging = judgingOf(
    timezone === undefined ? judgedAs(config, found) : { ...judgedAs(config, found), timezone },
    nowMs,
  );
  if (!values.quiet) foundLines(found).forEach(say);
  const isSilent = values.quiet || values.json;
  let done = { bytes: 0, rows: 0 };
  // What is read says how many rows there are in the rest.
  const rowsTotal = () =>
    done.bytes === 0 ? null : Math.round(done.rows / done.bytes * found.sizeBytes);
  const progress = shellProgress({ verb: "auditing", rowsTotal, isSilent });
  try {
    const decided = {
      ...found.decided,
      timezone: timezone === undefined && found.timezone === judging.zone.name
        ? found.decided.timezone
        : decide(judging.zone.name, timezone === undefined ? "setting timezone" : "given"),
    };
    return await auditFiles(found.paths, {
      files: meterFiles,
      formats: found.formats,
      columns: format.columns,
      signal,
      judging,
      nowMs,
      decided,
      target,
      onBlock: (bytes, rows) => {
        done = { bytes, rows };
        progress.update(rows);
      },
      visit: notes === null
        ? undefined
        : (audited, readings) => noteSeries(notes, audited, readings, judging.zone),
    });
  } finally {
    progress.clear();
  }
}

function judgingOf(config: Parameters<typeof processorOptions>[0], nowMs: number) {
  try {
    return processorOptions(config, 0, nowMs);
  } catch (cause) {
    if (!(cause instanceof Error) || !/^Cannot use time zone/.test(cause.message)) throw cause;
    throw new UsageError(
      `Cannot audit with --timezone="${config.timezone}": must be an IANA name`,
      "such as Europe/London",
      { cause },
    );
  }
}

async function report(audited: Audited, values: Values, target: number): Promise<void> {
  const { answer, sum, inspection } = audited;
  if (values.gaps !== undefined) {
    await writeText(values.gaps, gapsCsv(sum.series), { replaces: values.force });
  }
  if (!values.quiet) sayInspection(inspection, answer.warnings);
  sayFaults(inspection, "error");
  if (values.json) return print(JSON.stringify(answer));
  for (const line of describeAudit(answer, target)) print(line);
  if (values.by !== undefined) print(`\n${table(audited, values.by)}`);
}

async function writeText(
  path: string,
  texts: Iterable<string>,
  { replaces }: { readonly replaces: boolean },
): Promise<void> {
  const encoder = new TextEncoder();
  const output = await openOutputFile(path, { replaces });
  try {
    for (const text of texts) await output.write(encoder.encode(text));
    await output.commit();
  } finally {
    await output.abort();
  }
}

function table({ answer, sum, zone }: Audited, by: string): string {
  const widthMax = stdoutColumns();
  if (by === "day") return formatTable(DAY_COLUMNS, byDay(sum.series, zone), { widthMax });
  return formatTable(SERIES_COLUMNS, seriesRows(answer), { widthMax });
}

function seriesRows({ series }: AuditAnswer): unknown[][] {
  return series.map((one) => SERIES_COLUMNS.map((column) => one[column]));
}
