import { dialectOf, type Query, type Row } from "./query.ts";
import { isoFromMs, toIsoOrNull, toMsOrNull, toNumber, toNumberOrNull } from "./values.ts";

/*
 * The key figures of a fleet, each defined here and nowhere else, from the views `kpi_slots`, `kpi_gaps`
 * and `kpi_arrivals`. Percentiles are by nearest rank: sorted[⌈p·n⌉ − 1].
 */

/** What figures are given by. */
export const KPI_KEYS = ["day", "group", "meter"] as const;

/** One row of figures for each of these. */
export type KpiKey = typeof KPI_KEYS[number];

/** Hours after the end of their day by which readings are counted as in time. */
export const TIMELY_HOURS = [6, 12, 23, 120] as const;

/** Key figures. A share is a number from 0 to 1; null: nothing was there to tell it. */
export type Kpis = {
  /** Slots that should have a reading, as far as slots are judged. */
  readonly expected: number;
  /** Slots with an accepted reading without the flags NEGATIVE and CAPACITY. */
  readonly valid: number;
  /** valid / expected. */
  readonly completeness: number | null;
  /** Energy that was measured, of that and what was estimated. */
  readonly completeness_by_kwh: number | null;
  /** Gaps that begin here; those that late readings filled do not count. */
  readonly gaps: number;
  readonly open_gaps: number;
  readonly silent_meters: number;
  /** Of gaps that are over; open ones and silences are never averaged in. */
  readonly mean_minutes_to_recover: number | null;
  readonly p95_minutes_to_recover: number | null;
  /** estimated / (valid + estimated). */
  readonly estimated_share: number | null;
  /** Missing or invalid slots that have no estimate. */
  readonly not_estimated: number;
  /** (expected − valid) / ((1 − target) × expected): above 1 the target is missed. */
  readonly error_budget_used: number | null;
  /** The same of the last hours before where slots are judged; of the whole fleet alone. */
  readonly burn_rate_1h: number | null;
  readonly burn_rate_6h: number | null;
  /** Of the expected slots those whose reading had come so many hours after the end of its day. */
  readonly timeliness: Readonly<Record<`${typeof TIMELY_HOURS[number]}`, number | null>>;
  /** From the end of an interval to when its reading was received, where readings say that. */
  readonly latency_seconds: {
    readonly p50: number | null;
    readonly p95: number | null;
    readonly p99: number | null;
  };
};

/** The figures of a day (UTC), a group or a meter. */
export type KeyedKpis = { readonly [key in KpiKey]?: string } & Kpis;

export type KpiOptions = {
  /** Days (UTC) from the one that this time lies in; null: from the first. */
  readonly fromMs: number | null;
  /** Up to the day that this time lies in, which does not count; null: all. */
  readonly toMs: number | null;
  /** The share of expected slots that should be valid, below 1; null: none is set. */
  readonly target: number | null;
};

/** Above these the error budget of a month is gone within two days, or five: somebody should look. */
export const BURN_RATES_MAX = { burn_rate_1h: 14.4, burn_rate_6h: 6 } as const;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Rows of figures by meter or day, at most: those with the most lacking first. */
const ROWS_MAX = 100_000;

/** The figures of all. */
export async function readKpis(query: Query, options: KpiOptions): Promise<Kpis> {
  const [all] = await readParts(query, "''", options);
  const part = all ?? EMPTY;
  const [hour, sixHours] = [await readBurn(query, 1, options), await readBurn(query, 6, options)];
  return { ...kpisOf(part, options), burn_rate_1h: hour, burn_rate_6h: sixHours };
}

/** The figures by day, group or meter, in the order of the keys. */
export async function readKpisBy(
  query: Query,
  by: KpiKey,
  options: KpiOptions,
): Promise<KeyedKpis[]> {
  const keys = {
    day: "bucket",
    meter: "meter_id",
    group: `coalesce((SELECT min(m.group_id) FROM meters_current m
      WHERE m.meter_id = parts.meter_id), 'fleet')`,
  };
  const parts = await readParts(query, keys[by], options);
  return parts.map((part) => ({
    [by]: by === "day" ? part.key.slice(0, 10) : part.key,
    ...kpisOf(part, options),
  }));
}

/** What is added up of a key. */
type Part = {
  readonly key: string;
  readonly slots: Row;
  readonly gaps: Row;
  readonly recovery: Row;
  readonly arrivals: Row;
  readonly latency: Row;
  readonly estimates: Row;
};

const EMPTY: Part = {
  ...{ key: "", slots: {}, gaps: {}, recovery: {}, arrivals: {}, latency: {}, estimates: {} },
};

async function readParts(query: Query, key: string, options: KpiOptions): Promise<Part[]> {
  const { order, time } = dialectOf(query);
  const params = [options.fromMs, options.toMs].map((ms, end) =>
    isoFromMs(ms === null ? (end === 0 ? 0 : LAST_MS) : Math.floor(ms / DAY_MS) * DAY_MS)
  );
  const from = (table: string, where = "true") =>
    `FROM ${table} AS parts WHERE ${order("bucket")} >= ${order(time("$1"))}
       AND ${order("bucket")} < ${order(time("$2"))} AND ${where}`;
  const asked = async (sql: string) => keyed(await query(sql, params));
  const isJudged = await judgedOnly(query);
  const slots = await asked(
    `SELECT ${key} AS key, sum(valid) AS valid, sum(expected) AS expected,
       sum(valid_kwh) AS kwh ${from("kpi_slots", isJudged)}
     GROUP BY 1 ORDER BY sum(expected) - sum(valid) DESC LIMIT ${ROWS_MAX}`,
  );
  const gaps = await asked(
    `SELECT ${key} AS key, count(*) FILTER (WHERE state <> 'FILLED') AS gaps,
       count(*) FILTER (WHERE state = 'OPEN') AS open_gaps, count(silence) AS silent
     ${from("kpi_gaps")} GROUP BY 1`,
  );
  const recovery = await asked(ranked({
    ...{ key, value: "minutes_to_recover", percents: [95] },
    from: from("kpi_gaps", "minutes_to_recover IS NOT NULL"),
  }));
  const late = TIMELY_HOURS.map((hours) =>
    `count(*) FILTER (WHERE seconds_after_day > ${hours * 3600}) AS after_${hours}`
  );
  const arrivals = await asked(
    `SELECT ${key} AS key, ${late.join(", ")} ${from("kpi_arrivals", isJudged)} GROUP BY 1`,
  );
  const latency = await asked(ranked({
    ...{ key, value: "latency_seconds", percents: [50, 95, 99] },
    from: from("kpi_arrivals", "latency_seconds IS NOT NULL"),
  }));
  const estimates = await readEstimates(query, key, from, asked);
  return [...slots].sort(([a], [b]) => a < b ? -1 : 1).map(([name, row]) => ({
    key: name,
    slots: row,
    gaps: gaps.get(name) ?? {},
    recovery: recovery.get(name) ?? {},
    arrivals: arrivals.get(name) ?? {},
    latency: latency.get(name) ?? {},
    estimates: estimates.get(name) ?? {},
  }));
}

/** Behind every day that there can be. */
const LAST_MS = Date.UTC(9999, 0);

function keyed(rows: readonly Row[]): Map<string, Row> {
  const isTime = (value: unknown) =>
    value instanceof Date || /^\d{4}-\d\d-\d\dT00:00:00Z$/.test(String(value));
  return new Map(rows.map((row) => [
    (isTime(row.key) ? toIsoOrNull(row.key) : String(row.key)) ?? "",
    row,
  ]));
}

/** A meter whose interval is not known has no slots: it counts on neither side. */
async function judgedOnly(query: Query): Promise<string> {
  const unknown = await query(
    "SELECT meter_id FROM metrics WHERE metric_type = 'interval_unknown' LIMIT 1",
  );
  return unknown.length === 0
    ? "true"
    : "meter_id NOT IN (SELECT meter_id FROM meter_status WHERE status = 'unjudged')";
}

/** Percentiles of a value by key, each by nearest rank, with the mean. */
function ranked(
  { key, value, percents, from }: {
    readonly key: string;
    readonly value: string;
    readonly percents: readonly number[];
    readonly from: string;
  },
): string {
  const found = percents.map((percent) =>
    `max(value) FILTER (WHERE place = (${percent} * n + 99) / 100) AS p${percent}`
  );
  return `SELECT key, avg(value) AS mean, ${found.join(", ")} FROM (
      SELECT key, value, row_number() OVER (PARTITION BY key ORDER BY value) AS place,
        count(*) OVER (PARTITION BY key) AS n
      FROM (SELECT ${key} AS key, ${value} AS value ${from}) AS each_one
    ) AS placed GROUP BY key`;
}

/** Estimates that stand. */
async function readEstimates(
  query: Query,
  key: string,
  from: (table: string) => string,
  asked: (sql: string) => Promise<Map<string, Row>>,
): Promise<Map<string, Row>> {
  const { beginning } = dialectOf(query);
  const standing = `(SELECT ${beginning("day", "time")} AS bucket, meter_id, consumption_kwh
    FROM estimated_readings WHERE NOT withdrawn)`;
  return await asked(
    `SELECT ${key} AS key, count(*) AS estimated, sum(consumption_kwh) AS kwh
     ${from(standing)} GROUP BY 1`,
  );
}

function kpisOf(part: Part, { target }: KpiOptions): Kpis {
  const { slots, gaps, recovery, arrivals, latency, estimates } = part;
  const expected = toNumber(slots.expected);
  const valid = toNumber(slots.valid);
  const estimated = toNumber(estimates.estimated);
  const kwh = toNumber(slots.kwh);
  const timely = TIMELY_HOURS.map((hours) =>
    [String(hours), share(valid - toNumber(arrivals[`after_${hours}`]), expected)] as const
  );
  return {
    expected,
    valid,
    completeness: share(valid, expected),
    completeness_by_kwh: share(kwh, kwh + toNumber(estimates.kwh)),
    gaps: toNumber(gaps.gaps),
    open_gaps: toNumber(gaps.open_gaps),
    silent_meters: toNumber(gaps.silent),
    mean_minutes_to_recover: rounded(toNumberOrNull(recovery.mean)),
    p95_minutes_to_recover: rounded(toNumberOrNull(recovery.p95)),
    estimated_share: share(estimated, valid + estimated),
    not_estimated: Math.max(0, expected - valid - estimated),
    error_budget_used: budgetUsed({ expected, valid }, target),
    burn_rate_1h: null,
    burn_rate_6h: null,
    timeliness: Object.fromEntries(timely) as Kpis["timeliness"],
    latency_seconds: {
      p50: rounded(toNumberOrNull(latency.p50)),
      p95: rounded(toNumberOrNull(latency.p95)),
      p99: rounded(toNumberOrNull(latency.p99)),
    },
  };
}

/** How much of what may be lacking is: 1 is all of it. */
function budgetUsed(
  { expected, valid }: Pick<Kpis, "expected" | "valid">,
  target: number | null,
): number | null {
  if (expected === 0 || target === null) return null;
  return rounded((expected - valid) / ((1 - target) * expected));
}

/** The budget used of the hours before where slots are judged, or before the end that is asked for. */
async function readBurn(
  query: Query,
  hours: number,
  { toMs, target }: KpiOptions,
): Promise<number | null> {
  const [{ judged }] = await query("SELECT max(judged_to) AS judged FROM positions");
  const judgedMs = toMsOrNull(judged);
  if (judgedMs === null) return null;
  const endMs = Math.min(judgedMs, toMs ?? Infinity);
  const { present, valid } = await countPresent(query, endMs - hours * HOUR_MS, endMs);
  const missing = await countMissing(query, endMs - hours * HOUR_MS, endMs);
  return budgetUsed({ expected: present + missing, valid }, target);
}

async function countPresent(
  query: Query,
  fromMs: number,
  toMs: number,
): Promise<{ readonly present: number; readonly valid: number }> {
  const { readingsOf, hasFlag } = dialectOf(query);
  const isInvalid = `${hasFlag("NEGATIVE")} OR ${hasFlag("CAPACITY")}`;
  const [row] = await query(
    `SELECT count(*) - count(revises_kwh) AS present,
       count(*) FILTER (WHERE ${isInvalid}) AS invalid
     FROM ${readingsOf({ from: "$1", to: "$2" })} AS readings`,
    [isoFromMs(fromMs), isoFromMs(toMs)],
  );
  const present = toNumber(row.present);
  return { present, valid: present - toNumber(row.invalid) };
}

/** Missing slots that begin in a span, of all gaps that touch it. */
async function countMissing(query: Query, fromMs: number, toMs: number): Promise<number> {
  const { order, time } = dialectOf(query);
  const rows = await query(
    `SELECT missing_from, gap_minutes, missing_intervals, known_intervals, count(*) AS gaps
     FROM gap_status
     WHERE missing_intervals > 0 AND ${order("missing_from")} < ${order(time("$2"))}
       AND ${order("known_to")} > ${order(time("$1"))}
     GROUP BY missing_from, gap_minutes, missing_intervals, known_intervals`,
    [isoFromMs(fromMs), isoFromMs(toMs)],
  );
  return rows.reduce((sum, row) => {
    const startMs = toMsOrNull(row.missing_from) ?? 0;
    const stepMs = toNumber(row.gap_minutes) * 60_000 / toNumber(row.missing_intervals);
    const known = toNumber(row.known_intervals);
    const before = (ms: number) => Math.min(known, Math.max(0, Math.ceil((ms - startMs) / stepMs)));
    return sum + toNumber(row.gaps) * (before(toMs) - before(fromMs));
  }, 0);
}

function share(part: number, of: number): number | null {
  return of === 0 ? null : rounded(part / of);
}

/** To a millionth: what is left behind it is rounding of sums. */
function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1e6) / 1e6;
}
