/** What the two databases say differently; all else of a question reads the same on both. */
export type Dialect = {
  readonly name: "sqlite" | "postgres";
  /** Seconds from one time to another, with their fraction. */
  seconds(from: string, to: string): string;
  /** A time so many seconds later. */
  later(time: string, seconds: string): string;
  /** A time by which times are compared and put in order. */
  order(time: string): string;
  /** The beginning of the UTC hour or day of a time. */
  floorTime(step: "hour" | "day", time: string): string;
  /** The largest, or the least, of values that are not null. */
  greatest(...values: string[]): string;
  least(...values: string[]): string;
  /** The next whole number down, or up, of one that is not negative. */
  floor(value: string): string;
  ceil(value: string): string;
  /** The texts of a JSON array that is a parameter, as rows of `value`. */
  texts(parameter: string): string;
  /** Readings one by one; where it helps, of days in a span of times, which are parameters. */
  readings(span: { readonly from: string; readonly to: string } | null): string;
};

/** PostgreSQL, with TimescaleDB or without. */
export const POSTGRES: Dialect = {
  name: "postgres",
  seconds: (from, to) => `CAST(extract(epoch FROM ${to} - ${from}) AS double precision)`,
  later: (time, seconds) => `${time} + (${seconds}) * interval '1 second'`,
  order: (time) => time,
  floorTime: (step, time) => `date_trunc('${step}', ${time}, 'UTC')`,
  greatest: (...values) => `greatest(${values.join(", ")})`,
  least: (...values) => `least(${values.join(", ")})`,
  floor: (value) => `floor(${value})`,
  ceil: (value) => `ceil(${value})`,
  texts: (parameter) =>
    `(SELECT jsonb_array_elements_text(CAST(CAST(${parameter} AS text) AS jsonb)) AS value)`,
  readings: (span) =>
    span === null ? "validated_readings" : `(SELECT * FROM validated_readings
      WHERE time >= CAST(${span.from} AS timestamptz) AND time < CAST(${span.to} AS timestamptz))`,
};

/**
 * The embedded store. Times are text: without their `Z` they compare as they should, with it
 * `10:00:00.5Z` would come before `10:00:00Z`. The library that Deno has is built without floor() and
 * ceil().
 */
export const SQLITE: Dialect = {
  name: "sqlite",
  seconds: (from, to) => `round((julianday(${to}) - julianday(${from})) * 86400, 3)`,
  later: (time, seconds) =>
    `strftime('%Y-%m-%dT%H:%M:%fZ', julianday(${time}) + (${seconds}) / 86400.0)`,
  order: (time) => `rtrim(${time}, 'Z')`,
  floorTime: (step, time) =>
    step === "day"
      ? `substr(${time}, 1, 10) || 'T00:00:00Z'`
      : `substr(${time}, 1, 13) || ':00:00Z'`,
  greatest: (...values) => `max(${values.join(", ")})`,
  least: (...values) => `min(${values.join(", ")})`,
  floor: (value) => `CAST(${value} AS INTEGER)`,
  ceil: (value) => `(CAST(${value} AS INTEGER) + (${value} > CAST(${value} AS INTEGER)))`,
  texts: (parameter) => `(SELECT value FROM json_each(${parameter}))`,
  readings: (span) =>
    span === null ? "readings_by_day" : `(SELECT * FROM readings_by_day
      WHERE day BETWEEN ${dayOf(span.from)} AND ${dayOf(span.to)}
        AND rtrim(time, 'Z') >= rtrim(${span.from}, 'Z')
        AND rtrim(time, 'Z') < rtrim(${span.to}, 'Z'))`,
};

function dayOf(time: string): string {
  return `CAST(julianday(substr(${time}, 1, 10)) - julianday('1970-01-01') AS INTEGER)`;
}
