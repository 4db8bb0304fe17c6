const DAY_MS = 86_400_000;

/** What the two databases say differently; all else of a question reads the same on both. */
export type Dialect = {
  readonly name: "sqlite" | "postgres";
  /** A parameter that is a time. */
  time(parameter: string): string;
  /** Seconds from one time to another, with their fraction. */
  seconds(from: string, to: string): string;
  /** A time so many seconds later. */
  later(time: string, seconds: string): string;
  /** What times are compared and put in order by. */
  order(time: string): string;
  /** The beginning of the UTC hour or day of a time. */
  beginning(step: "hour" | "day", time: string): string;
  /** The UTC day that a midnight begins, counted from 1970-01-01. */
  dayNumber(time: string): string;
  /** The larger of two values that are not null. */
  larger(a: string, b: string): string;
  /** The texts of a JSON array that is a parameter: a subquery of one column. */
  texts(parameter: string): string;
  /** The objects of a JSON array that is a parameter, as a table of their fields. */
  objects(parameter: string, fields: Readonly<Record<string, "text" | "bigint">>): string;
  /** A parameter that is a whole number. */
  whole(parameter: string): string;
  /** Milliseconds since 1970-01-01 of a time, and the time of milliseconds. */
  toMs(time: string): string;
  fromMs(ms: string): string;
  /**
   * Ids of the meters that were read after one time in ms and up to another, of those that the
   * condition names.
   */
  metersRead(span: { readonly after: string; readonly to: string }, where: string): string;
  /** Which readings have a flag. */
  hasFlag(flag: string): string;
  /** When meters were read last, as `meter_id, last_at`: of those that the condition names. */
  lastTimes(where: string): string;
  /** Where the missing slots of meters by day come from: a meter's day may be in several rows. */
  readonly missing: string;
  /** Where late readings come from. */
  readonly lateReadings: string;
  /** Where the readings of a time span come from; its ends are parameters, the second is not in it. */
  readingsOf(span: { readonly from: string; readonly to: string }): string;
  /** Where the last readings of a meter come from, at least so many: its id is a parameter. */
  lastReadings(meterId: string, count: number): string;
};

/** PostgreSQL, with TimescaleDB or without. */
export const POSTGRES: Dialect = {
  name: "postgres",
  time: (parameter) => `CAST(${parameter} AS timestamptz)`,
  seconds: (from, to) => `CAST(extract(epoch FROM ${to} - ${from}) AS double precision)`,
  later: (time, seconds) => `${time} + (${seconds}) * interval '1 second'`,
  order: (time) => time,
  beginning: (step, time) => `date_trunc('${step}', ${time}, 'UTC')`,
  dayNumber: (time) => `CAST(extract(epoch FROM ${time}) AS bigint) / 86400`,
  larger: (a, b) => `greatest(${a}, ${b})`,
  // Drivers agree on text; an array they write each in their own way.
  texts: (parameter) =>
    `SELECT jsonb_array_elements_text(CAST(CAST(${parameter} AS text) AS jsonb))`,
  objects: (parameter, fields) =>
    `jsonb_to_recordset(CAST(CAST(${parameter} AS text) AS jsonb)) AS given (${
      Object.entries(fields).map(([name, type]) => `${name} ${type}`).join(", ")
    })`,
  whole: (parameter) => `CAST(${parameter} AS bigint)`,
  toMs: (time) => `CAST(round(extract(epoch FROM ${time}) * 1000) AS bigint)`,
  fromMs: (ms) => `to_timestamp((${ms}) / 1000.0)`,
  metersRead: ({ after, to }, where) => {
    const [afterTime, toTime] = [after, to].map((each) => `to_timestamp(${each} / 1000.0)`);
    return `SELECT DISTINCT meter_id FROM readings_meter_daily
      WHERE bucket >= date_trunc('day', ${afterTime}, 'UTC') AND bucket <= ${toTime}
        AND last_at > ${afterTime} AND first_at <= ${toTime} AND ${where}`;
  },
  hasFlag: (flag) => `'${flag}' = ANY (flags)`,
  lastTimes: (where) =>
    `SELECT meter_id, max(last_at) AS last_at FROM readings_meter_daily ${where} GROUP BY meter_id`,
  missing: "missing_daily",
  lateReadings: "validated_readings",
  readingsOf: ({ from, to }) =>
    `(SELECT * FROM validated_readings WHERE time >= CAST(${from} AS timestamptz)
        AND time < CAST(${to} AS timestamptz))`,
  lastReadings: () => "validated_readings",
};

/**
 * The embedded store. Times are text: without their `Z` they compare as they should; with it
 * `10:00:00.5Z` would come before `10:00:00Z`. Readings are found by their days.
 */
export const SQLITE: Dialect = {
  name: "sqlite",
  time: (parameter) => parameter,
  seconds: (from, to) => `round((julianday(${to}) - julianday(${from})) * 86400, 3)`,
  later: (time, seconds) =>
    `strftime('%Y-%m-%dT%H:%M:%fZ', julianday(${time}) + (${seconds}) / 86400.0)`,
  order: (time) => `rtrim(${time}, 'Z')`,
  beginning: (step, time) =>
    step === "day"
      ? `substr(${time}, 1, 10) || 'T00:00:00Z'`
      : `substr(${time}, 1, 13) || ':00:00Z'`,
  dayNumber: (time) => `unixepoch(${time}) / 86400`,
  larger: (a, b) => `max(${a}, ${b})`,
  texts: (parameter) => `SELECT value FROM json_each(${parameter})`,
  objects: (parameter, fields) =>
    `(SELECT ${
      Object.keys(fields).map((name) => `value ->> '${name}' AS ${name}`).join(", ")
    } FROM json_each(${parameter})) AS given`,
  whole: (parameter) => `CAST(${parameter} AS INTEGER)`,
  toMs: (time) => `CAST(round((julianday(${time}) - 2440587.5) * 86400000) AS INTEGER)`,
  fromMs: (ms) =>
    `CASE (${ms}) % 1000 WHEN 0 THEN strftime('%Y-%m-%dT%H:%M:%SZ', (${ms}) / 1000, 'unixepoch')
       ELSE strftime('%Y-%m-%dT%H:%M:%fZ', (${ms}) / 1e3, 'unixepoch') END`,
  metersRead: ({ after, to }, where) =>
    `SELECT DISTINCT meter_id FROM meter_days
       WHERE day BETWEEN ${after} / ${DAY_MS} AND ${to} / ${DAY_MS}
         AND day * ${DAY_MS} + last_ms > ${after} AND day * ${DAY_MS} + first_ms <= ${to}
         AND ${where}`,
  hasFlag: (flag) => `EXISTS (SELECT 1 FROM json_each(flags) WHERE value = '${flag}')`,
  lastTimes: (where) =>
    `SELECT meter_id, strftime('%Y-%m-%dT%H:%M:%fZ', max(last_ms) / 1e3, 'unixepoch') AS last_at
     FROM meter_totals ${where} GROUP BY meter_id`,
  missing: "missing_parts",
  lateReadings: "(SELECT *, 'LATE' AS status FROM late_readings)",
  readingsOf: ({ from, to }) =>
    `(SELECT * FROM readings_by_day WHERE day BETWEEN ${dayOf(from)} AND ${dayOf(to)}
        AND rtrim(time, 'Z') >= rtrim(${from}, 'Z') AND rtrim(time, 'Z') < rtrim(${to}, 'Z'))`,
  lastReadings: (meterId, count) =>
    `(SELECT * FROM readings_by_day WHERE meter_id = ${meterId} AND day >=
        (SELECT min(day) FROM (SELECT DISTINCT day FROM meter_days WHERE meter_id = ${meterId}
                               ORDER BY day DESC LIMIT ${count})))`,
};

function dayOf(time: string): string {
  return `CAST(julianday(substr(${time}, 1, 10)) - julianday('1970-01-01') AS INTEGER)`;
}
