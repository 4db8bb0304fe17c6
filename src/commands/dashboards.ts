import overview from "../../grafana/dashboards/data-quality-overview.json" with { type: "json" };
import meter from "../../grafana/dashboards/meter-drill-down.json" with { type: "json" };
import system from "../../grafana/dashboards/system-health.json" with { type: "json" };
import validation from "../../grafana/dashboards/validation-and-incidents.json" with {
  type: "json",
};
import type { Clock } from "../engine/ports.ts";
import { readArguments, readNumber, verbOf } from "../console/arguments.ts";
import {
  DATABASE_OPTIONS,
  databaseMeant,
  openDatabase,
  type ReadDatabase,
} from "../setup/database.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { loadConfig, print, say, stopSignal, systemClock } from "../console/shell.ts";

export const usage = `Usage: gridwatch dashboards --output DIR [options]

Writes the four Grafana dashboards, and opens them on the data: the last week where data is coming
in, the last four weeks that have any where it is an archive.

  --output DIR    what Grafana's provisioning reads (grafana/provisioning/dashboards/)
  --database URL  whose data (default: database.url; without one: the last week)
  --watch SECONDS goes on, and writes again when the data has moved; the database may be away
  --config FILE   settings
`;

const OPTIONS = {
  ...DATABASE_OPTIONS,
  output: { type: "string" },
  watch: { type: "string" },
} as const;

/** The dashboards by their files' names. */
export const DASHBOARDS: Readonly<Record<string, { readonly time: DashboardTime }>> = {
  "data-quality-overview.json": overview,
  "meter-drill-down.json": meter,
  "system-health.json": system,
  "validation-and-incidents.json": validation,
};

/** A dashboard's range as Grafana keeps it: relative to now, or ISO 8601. */
export type DashboardTime = { readonly from: string; readonly to: string };

const DAY_MS = 86_400_000;
/** Data that ends within this is being collected, not an archive. */
const LIVE_MS = 2 * DAY_MS;
const ARCHIVE_DAYS = 28;
const LIVE: DashboardTime = { from: "now-7d", to: "now" };
const NEWEST = "SELECT (extract(epoch FROM max(watermark)) * 1000)::double precision AS newest " +
  "FROM positions";

/**
 * The range that dashboards open on: whole days (UTC) up to the newest data, or the last week while
 * data comes in or there is none yet.
 */
export function rangeOf(newestMs: number | null, nowMs: number): DashboardTime {
  if (newestMs === null || Math.abs(nowMs - newestMs) < LIVE_MS) return LIVE;
  const toMs = Math.ceil(newestMs / DAY_MS) * DAY_MS;
  const at = (ms: number) => new Date(ms).toISOString();
  return { from: at(toMs - ARCHIVE_DAYS * DAY_MS), to: at(toMs) };
}

/** Runs `gridwatch dashboards`; with `--watch` to Ctrl-C. */
export async function dashboards(args: string[]): Promise<number> {
  const { values } = readArguments("dashboards", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const { output } = values;
  if (output === undefined || output === "") {
    throw new UsageError("Cannot write the dashboards: no --output is named", "--output DIR");
  }
  const watchSeconds = values.watch === undefined
    ? null
    : readNumber("dashboards", "watch", values.watch, { min: 1, max: 86_400 });
  const config = await loadConfig(values.config);
  const url = databaseMeant(verbOf("dashboards"), config, { database: values.database });
  const newest = async () => url === null ? null : await readNewest(url);
  if (watchSeconds === null) {
    say(await writeDashboards(output, rangeOf(await newest(), Date.now())));
    return 0;
  }
  const stop = stopSignal(() => {});
  await watchDashboards({ output, newest, watchMs: watchSeconds * 1000, signal: stop.signal });
  stop.release();
  return 0;
}

/** What watching needs; `clock` and `tell` for tests to replace. */
export type WatchOptions = {
  readonly output: string;
  /** Time of the newest data, epoch milliseconds; null: none. Rejects while the database is away. */
  readonly newest: () => Promise<number | null>;
  readonly watchMs: number;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly tell?: (text: string) => void;
};

/** Writes the dashboards when the data has moved; what was written last stands meanwhile. */
export async function watchDashboards(
  { output, newest, watchMs, signal, clock = systemClock, tell = say }: WatchOptions,
): Promise<void> {
  let written: string | null = null;
  let isAway = false;
  while (!signal.aborted) {
    let newestMs: number | null = null;
    try {
      newestMs = await newest();
      isAway = false;
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      if (!isAway) tell(`warning: ${error.message}`);
      isAway = true;
    }
    const range = rangeOf(newestMs, clock.nowMs());
    const wanted = JSON.stringify(range);
    // While the database is away the range stays, but there are to be dashboards from the start.
    if (wanted !== written && !(isAway && written !== null)) {
      tell(await writeDashboards(output, range));
      written = wanted;
    }
    await clock.sleep(watchMs, signal);
  }
}

async function readNewest(url: string): Promise<number | null> {
  let database: ReadDatabase | null = null;
  try {
    database = await openDatabase(url);
    const { rows: [row] } = await database.query(NEWEST);
    return row?.newest === null || row === undefined ? null : Number(row.newest);
  } catch (error) {
    if (error instanceof RunError || !(error instanceof Error)) throw error;
    throw new RunError(`Cannot read where the data ends: ${error.message}`, "gridwatch migrate", {
      cause: error,
    });
  } finally {
    await database?.close();
  }
}

/**
 * Writes the dashboards with this range, each in one step; gives a line that says so.
 *
 * @throws {RunError} when the folder cannot be written to
 */
export async function writeDashboards(output: string, time: DashboardTime): Promise<string> {
  try {
    await Deno.mkdir(output, { recursive: true });
    for (const [name, dashboard] of Object.entries(DASHBOARDS)) {
      const path = `${output}/${name}`;
      // Grafana reads *.json: it never sees half of one.
      await Deno.writeTextFile(
        `${path}.tmp`,
        `${JSON.stringify({ ...dashboard, time }, null, 2)}\n`,
      );
      await Deno.rename(`${path}.tmp`, path);
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new RunError(`Cannot write to ${output}: ${error.message}`, undefined, { cause: error });
  }
  return `wrote ${
    Object.keys(DASHBOARDS).length
  } dashboards to ${output}, on ${time.from} to ${time.to}`;
}
