import type { Context, Hono } from "hono";
import { LIST } from "./cache.ts";
import {
  type Fleet,
  listReadings,
  type MeterSummary,
  readGapSpans,
  readLastTimes,
  readMeter,
  readSeries,
} from "../tables/meters.ts";
import type { MeterStatus } from "../tables/meter_status.ts";
import type { RoutePorts } from "./list_routes.ts";
import {
  choice,
  listPage,
  ParameterError,
  readParameters,
  text,
  usableText,
  wholeNumber,
} from "./parameters.ts";
import type { Query } from "../tables/query.ts";
import { readTimeline } from "../tables/timeline.ts";
import { listGaps } from "../tables/lists.ts";
import { listFindings } from "../tables/validation.ts";
import { latestMs, watermarksMs } from "./status.ts";
import { isoFromMs, toMsOrNull } from "../tables/values.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SPANS_PER_METER_MAX = 60;
const SPANS_METERS_MAX = 100;
const METER_GAPS_MAX = 200;
const METER_READINGS_DEFAULT = 24;
const SERIES_DAYS = { default: 28, min: 1, max: 92 };
const SERIES_DAILY_DAYS = { default: 366, min: 1, max: 1830 };
const TIMELINE_CELL = { default: 1, min: 1, max: 366 };
const TIMELINE_DAYS = { default: 366, min: 1, max: 1830 };

/** The meters, one meter, and the fleet's days. */
export function addMeterRoutes(app: Hono, ports: RoutePorts): void {
  app.get("/api/meters", (c) => answerMeters(c, ports));
  app.get("/api/meters/:id", (c) => answerMeter(c, ports));
  app.get("/api/timeline", (c) => answerTimeline(c, ports));
}

/** `/api/meters`: the meters, the least complete first, with their gaps where asked. */
async function answerMeters(
  c: Context,
  { query, cache, answers, nowMs }: RoutePorts,
): Promise<Response> {
  const parameters = readParameters(c.req.url, ["limit", "offset", "sort", "q", "spans"]);
  const page = listPage(parameters);
  const sort = choice(parameters, "sort", ["worst", "status", "id"]) ?? "worst";
  const spans = choice(parameters, "spans", ["true", "false"]) === "true";
  if (spans && page.limit > SPANS_METERS_MAX) {
    throw new ParameterError(
      `Cannot use spans=true with limit=${page.limit}: at most ${SPANS_METERS_MAX}`,
      `Add limit=${SPANS_METERS_MAX}`,
    );
  }
  const fleet = await answers.fleet();
  const found = selectMeters(fleet, { sort, q: text(parameters, "q") });
  const meters = found.slice(page.offset, page.offset + page.limit);
  const countedSecondsAgo = Math.max(0, Math.floor((nowMs() - fleet.countedAtMs) / 1000));
  const body = {
    ...page,
    total: found.length,
    fleet_meters: fleet.totals.meters,
    counted_seconds_ago: countedSecondsAgo,
  };
  if (!spans) return c.json({ meters, ...body });
  const meterIds = meters.map(({ meter_id }) => meter_id);
  const [spansByMeter, lastTimes] = await cache.get(
    `spans ${JSON.stringify(meterIds)}`,
    LIST,
    () =>
      Promise.all([
        readGapSpans(query, { meterIds, spansPerMeterMax: SPANS_PER_METER_MAX }),
        readLastTimes(query, meterIds),
      ]),
  );
  const withSpans = meters.map((meter) => ({
    ...meter,
    last_at: lastTimes.get(meter.meter_id) ?? meter.last_at,
    spans: spansByMeter.get(meter.meter_id) ?? [],
  }));
  return c.json({ meters: withSpans, ...body });
}

/** `/api/meters/:id`: all of one meter. */
async function answerMeter(c: Context, { query, cache }: RoutePorts): Promise<Response> {
  const parameters = readParameters(c.req.url, ["readings", "step", "days"]);
  const meterId = usableText("id", c.req.param("id") ?? "");
  const step = choice(parameters, "step", ["hour", "day"]) ?? "hour";
  const days = wholeNumber(parameters, "days", step === "hour" ? SERIES_DAYS : SERIES_DAILY_DAYS);
  const limit = wholeNumber(parameters, "readings", {
    default: METER_READINGS_DEFAULT,
    min: 1,
    max: 1000,
  });
  const key = `meter ${JSON.stringify([meterId, step, days, limit])}`;
  const detail = await cache.get(
    key,
    LIST,
    () => readDetail(query, { meterId, step, days, limit }),
  );
  if (detail !== null) return c.json(detail);
  return c.json({
    error: "There is no such meter",
    hint: "GET /api/meters?sort=id lists them; write / in an id as %2F",
  }, 404);
}

/** A meter with its gaps, last readings and series; null: no table knows it. */
async function readDetail(
  query: Query,
  options: {
    readonly meterId: string;
    readonly step: "hour" | "day";
    readonly days: number;
    readonly limit: number;
  },
) {
  const { meterId, step, days } = options;
  const meter = await readMeter(query, meterId);
  if (meter === null) return null;
  const gapFilter = { state: null, meterId, fromMs: null, toMs: null, sort: "recent" } as const;
  const found = { rule: null, meterId, fromMs: null, toMs: null, limit: METER_GAPS_MAX, offset: 0 };
  const [gaps, readings, findings] = await Promise.all([
    listGaps(query, { ...gapFilter, limit: METER_GAPS_MAX, offset: 0 }),
    listReadings(query, options),
    listFindings(query, found),
  ]);
  const stepMs = step === "hour" ? HOUR_MS : DAY_MS;
  const toMs = seriesEndMs(meter, gaps.rows, stepMs);
  const firstMs = toMsOrNull(meter.first_at) ?? toMs - stepMs;
  const fromMs = Math.max(toMs - days * DAY_MS, Math.floor(firstMs / DAY_MS) * DAY_MS);
  const points = await readSeries(query, { meterId, step, fromMs, toMs });
  const series = { step, from: isoFromMs(fromMs), to: isoFromMs(toMs), points };
  return {
    ...{ meter, gaps: gaps.rows, gaps_more: gaps.more, readings, series },
    ...{ validation: findings.rows, validation_more: findings.more },
  };
}

/** `/api/timeline`: what went wrong on each day. */
async function answerTimeline(
  c: Context,
  { query, cache, answers }: RoutePorts,
): Promise<Response> {
  const parameters = readParameters(c.req.url, ["days", "cell"]);
  const cellDays = wholeNumber(parameters, "cell", TIMELINE_CELL);
  const daysMax = wholeNumber(parameters, "days", TIMELINE_DAYS);
  const { firstAtMs, lastAtMs } = (await answers.fleet()).totals;
  if (firstAtMs === null || lastAtMs === null) {
    return c.json({ from: null, to: null, days: [], cell_days: cellDays, cells: [] });
  }
  const endMs = latestMs([lastAtMs, ...watermarksMs(await answers.ledger())]) ?? lastAtMs;
  const toMs = (Math.floor(endMs / DAY_MS) + 1) * DAY_MS;
  const fromMs = Math.max(Math.floor(firstAtMs / DAY_MS) * DAY_MS, toMs - daysMax * DAY_MS);
  const span = { fromMs, toMs, cellDays };
  const { days, cells } = await cache.get(
    `timeline ${JSON.stringify(span)}`,
    LIST,
    () => readTimeline(query, span),
  );
  return c.json({ from: isoFromMs(fromMs), to: isoFromMs(toMs), days, cell_days: cellDays, cells });
}

/** Statuses in the order in which a person looks into them. */
const SHOWN_FIRST: readonly MeterStatus[] = [
  ...["silent", "gap", "unusable", "unjudged", "late", "healthy", "retired"] as const,
];

/** The fleet's meters as asked: kept in the order of the worst; of one status, that order stays. */
function selectMeters(
  fleet: Fleet,
  options: { readonly sort: "worst" | "status" | "id"; readonly q: string | null },
): readonly MeterSummary[] {
  const q = options.q?.toLowerCase();
  const found = q === undefined
    ? fleet.meters
    : fleet.meters.filter(({ meter_id }) => meter_id.toLowerCase().includes(q));
  if (options.sort === "worst") return found;
  if (options.sort === "status") {
    return found.toSorted((a, b) => SHOWN_FIRST.indexOf(a.status) - SHOWN_FIRST.indexOf(b.status));
  }
  return found.toSorted((a, b) => a.meter_id < b.meter_id ? -1 : 1);
}

/** The end of the step that the meter's last reading or its open gap reaches. */
function seriesEndMs(
  meter: MeterSummary,
  gaps: readonly { missing_from: string | null; known_minutes: number }[],
  stepMs: number,
): number {
  let lastMs = toMsOrNull(meter.last_at) ?? 0;
  for (const gap of gaps) {
    const endMs = (toMsOrNull(gap.missing_from) ?? 0) + gap.known_minutes * 60_000;
    // The last instant of the gap: its end is the first slot after it.
    lastMs = Math.max(lastMs, endMs - 1);
  }
  return (Math.floor(lastMs / stepMs) + 1) * stepMs;
}
