import { datePartsOf, isoClock, isoTime, kwhOf, splitCells, unitIn } from "./cells.ts";
import { type CsvColumns, findColumns } from "./csv_header.ts";
import type { ForcedFormat } from "./list.ts";
import { isNamedFor } from "./missing_columns.ts";
import type { DateOrder, Profile, Unit } from "./profile.ts";
import { isClock } from "./shape.ts";
import { longestRun } from "./wide.ts";

/** What a person said of a file, where it does not say it. */
export type FormatOptions = {
  readonly columns: CsvColumns & { readonly channel?: string };
  /** The meter of a file that has no column of meters. */
  readonly meterId?: string;
  readonly decimal?: "point" | "comma";
  readonly dateOrder?: "dmy" | "mdy";
  /** The line that names the columns, from 1 on. */
  readonly headerLine?: number;
  /** The profile to read by, whatever the file looks like. */
  readonly profile?: Profile;
  /** The same of formats that no profile describes. */
  readonly forced?: ForcedFormat;
};

/** A table that was found, and where its columns are. */
export type Table = {
  readonly profile: Profile;
  readonly delimiter: string;
  /** The number of the line that names the columns, from 1 on. */
  readonly headerLine: number;
  readonly names: readonly string[];
  readonly meter: number;
  readonly time: number;
  readonly clock: number;
  readonly values: readonly number[];
  /** Of a day's intervals: the time of each column of values. */
  readonly clocks: readonly string[];
  readonly channel: number;
  readonly unit: number;
  /** The cells above the table, a list a line. */
  readonly above: readonly (readonly string[])[];
};

const DELIMITERS = [",", ";", "\t", "|"];
/** A header is looked for in so many lines. */
const HEADER_LINES_MAX = 30;
/** So many columns with times of the day for names are those of a day. */
const CLOCKS_MIN = 23;
/** So many numbered columns are hours, half hours or quarter hours of a day. */
const NUMBERED_SLOTS = [24, 48, 96];

/** Finds the table that one of the profiles reads; null: there is none. */
export function findTable(
  lines: readonly string[],
  profiles: readonly Profile[],
  options: FormatOptions,
): Table | null {
  const { headerLine } = options;
  const first = headerLine === undefined ? 0 : headerLine - 1;
  const last = headerLine === undefined ? Math.min(lines.length, HEADER_LINES_MAX) : headerLine;
  for (let n = first; n < last; n++) {
    for (const delimiter of DELIMITERS) {
      const names = splitCells(lines[n] ?? "", delimiter) ?? [];
      if (names.length < 2) continue;
      const profile = profileOf(names, profiles, options);
      if (profile === null) continue;
      const above = lines.slice(0, n).map((line) => splitCells(line, delimiter) ?? []);
      return tableOf(profile, { names, delimiter, headerLine: n + 1, above });
    }
  }
  return null;
}

/** The profile that a header fits, of those that may be. */
function profileOf(
  names: readonly string[],
  profiles: readonly Profile[],
  { profile, forced, columns }: FormatOptions,
): Profile | null {
  if (forced === "wide-day") return wideDayOf(names);
  if (forced === "csv") return plainOf(names, columns);
  const known =
    profiles.find(({ header }) =>
      header.every((pattern) => names.some((name) => pattern.test(name)))
    ) ?? null;
  return known !== null || profile !== undefined
    ? known
    : wideDayOf(names) ?? plainOf(names, columns);
}

function tableOf(
  profile: Profile,
  found: Pick<Table, "names" | "delimiter" | "headerLine" | "above">,
): Table {
  const { names } = found;
  const columnOf = (pattern: RegExp | undefined) =>
    pattern === undefined ? -1 : names.findIndex((name) => pattern.test(name));
  const isWide = profile.wide !== undefined;
  const slots = names.filter((name) => profile.value.test(name));
  return {
    ...found,
    clocks: profile.wide === "clock" ? slots.map((name, n) => clockOf(name, n, profile)) : [],
    profile,
    meter: columnOf(profile.meter),
    time: columnOf(profile.time),
    clock: columnOf(profile.clock),
    values: isWide
      ? names.flatMap((name, n) => profile.value.test(name) ? [n] : [])
      : [columnOf(profile.value)],
    channel: columnOf(profile.channel),
    unit: columnOf(profile.unitColumn),
  };
}

/** The time of day that a column is of, by its name or its number among all. */
function clockOf(name: string, n: number, { minutes = 0 }: Profile): string {
  const [first] = name.split(/\s*(?:-|–|to)\s*/);
  const at = n * minutes;
  return isClock(name)
    ? isoClock(first) ?? name
    : isoClock(`${Math.floor(at / 60)}:${String(at % 60).padStart(2, "0")}`)!;
}

const escaped = (name: string) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const exactly = (name: string) => new RegExp(`^${escaped(name)}$`, "i");

/**
 * A row a day: a column a meter, one of days, and one for each interval of the day, named by its time or
 * numbered. A numbered day of 25 hours is none: which hour came twice its names do not say.
 */
function wideDayOf(names: readonly string[]): Profile | null {
  const timed = names.filter(isClock);
  const numbered = longestRun(names);
  const slots = timed.length >= CLOCKS_MIN
    ? timed
    : NUMBERED_SLOTS.includes(numbered.length)
    ? numbered
    : [];
  if (slots.length === 0) return null;
  const others = names.filter((name) => !slots.includes(name) && name !== "");
  const time = others.find((name) => /date|day|datum|fecha|jour/i.test(name));
  if (time === undefined) return null;
  const meters = others.filter((name) => name !== time && isNamedFor("meter", name));
  if (meters.length > 1) return null;
  return {
    name: "wide-day",
    about: "a row a day, a column an interval",
    header: [],
    meter: meters.length === 1 ? exactly(meters[0]) : undefined,
    time: exactly(time),
    value: new RegExp(`^(${slots.map(escaped).join("|")})$`, "i"),
    wide: "clock",
    label: slots === numbered || isoClock(slots[0])?.startsWith("00:00") ? "start" : "end",
    minutes: Math.round(1440 / slots.length),
  };
}

/** Columns by the names that plain files have, or by those that were given. */
function plainOf(
  names: readonly string[],
  columns: FormatOptions["columns"],
): Profile | null {
  const [meter, time, value] = findColumns(names, columns);
  if (time < 0 || value < 0) return null;
  // A column that may be the meter's is asked for: its file is not of one meter.
  const others = names.filter((_, n) => n !== time && n !== value);
  if (meter < 0 && others.some((name) => isNamedFor("meter", name))) return null;
  const { channel } = columns;
  if (channel !== undefined && !names.some((name) => exactly(channel).test(name))) return null;
  return {
    name: "csv",
    about: "a row a reading",
    header: [],
    meter: meter < 0 ? undefined : exactly(names[meter]),
    time: exactly(names[time]),
    value: exactly(names[value]),
    channel: channel === undefined ? undefined : exactly(channel),
  };
}

/** How the cells of a table are read. */
export type Reading = {
  readonly meterId: string | null;
  readonly decimal: "point" | "comma";
  readonly dateOrder: DateOrder;
  readonly unit: Unit;
  readonly minutes: number;
  /** How far times stand behind the beginning of their intervals. */
  readonly labelMs: number;
  readonly factor: number;
};

/** What could not be decided: the option that decides it, and why it must be. */
export type Undecided = { readonly option: string; readonly reason: string };

/** What was found out of a table's rows, and by what. */
export type TableDecision = {
  readonly reading: Reading;
  readonly evidence: {
    readonly decimal: string;
    readonly dateOrder: string;
    readonly unit: string;
    readonly label: string;
    readonly meter: string;
  };
};

/** Decides how a table's cells are read, by its profile, its first rows, and what was said. */
export function decideTable(
  table: Table,
  rows: readonly (readonly string[])[],
  options: FormatOptions & { readonly fileName: string },
): TableDecision | Undecided {
  const decimal = decimalOf(table, rows, options);
  const order = dateOrderOf(table, rows, options);
  if ("option" in decimal) return decimal;
  if ("option" in order) return order;
  const { profile } = table;
  const meter = meterOf(table, options);
  const said = unitSaid(table, rows);
  const unit = said?.unit ?? profile.unit ?? "kWh";
  const minutes = aboveMinutes(table) ?? profile.minutes ?? stepMinutes(table, rows, order.value);
  const isPower = unit === "W" || unit === "kW";
  if (minutes === null && (isPower || profile.label === "end")) {
    return { option: "--format", reason: "its interval cannot be told" };
  }
  return {
    reading: {
      meterId: meter.value,
      decimal: decimal.value,
      dateOrder: order.value,
      unit,
      minutes: minutes ?? 0,
      labelMs: profile.label === "end" ? (minutes ?? 0) * 60_000 : 0,
      factor: kwhOf(unit, minutes ?? 0),
    },
    evidence: {
      decimal: decimal.evidence,
      dateOrder: order.evidence,
      unit: said?.evidence ?? `profile ${profile.name}`,
      label: `profile ${profile.name}`,
      meter: meter.evidence,
    },
  };
}

type Known<Value> = { readonly value: Value; readonly evidence: string };

function decimalOf(
  { profile, values }: Table,
  rows: readonly (readonly string[])[],
  options: FormatOptions,
): Known<"point" | "comma"> | Undecided {
  if (options.decimal !== undefined) {
    return { value: options.decimal, evidence: "given: --decimal" };
  }
  const cells = rows.flatMap((row) => values.map((column) => row[column] ?? ""));
  const point = cells.find((cell) => /^[+-]?\d*\.\d+$/.test(cell));
  const comma = cells.find((cell) => /^[+-]?\d*,\d+$/.test(cell));
  if (point !== undefined && comma === undefined) {
    return { value: "point", evidence: `value ${point}` };
  }
  if (comma === undefined) {
    const value = profile.decimal ?? "point";
    return { value, evidence: "no value has a decimal mark" };
  }
  const isClear = cells.some((cell) => /^[+-]?(\d*,(\d{1,2}|\d{4,})|0,\d+)$/.test(cell));
  if (point === undefined && (isClear || profile.decimal === "comma")) {
    return { value: "comma", evidence: `value ${comma}` };
  }
  return { option: "--decimal", reason: `${comma} may have a decimal comma, or one of thousands` };
}

function dateOrderOf(
  { profile, time }: Table,
  rows: readonly (readonly string[])[],
  options: FormatOptions,
): Known<DateOrder> | Undecided {
  const dates = rows.flatMap((row) => {
    const parts = datePartsOf(row[time] ?? "");
    return parts === null ? [] : [{ parts, text: row[time] }];
  });
  if (dates.length === 0) return { value: "ymd", evidence: "the year comes first" };
  if (options.dateOrder !== undefined) {
    return { value: options.dateOrder, evidence: "given: --date-order" };
  }
  const dayFirst = dates.find(({ parts }) => parts[0] > 12);
  const monthFirst = dates.find(({ parts }) => parts[1] > 12);
  if (dayFirst !== undefined && monthFirst === undefined) {
    return { value: "dmy", evidence: `date ${dayFirst.text}` };
  }
  if (monthFirst !== undefined && dayFirst === undefined) {
    return { value: "mdy", evidence: `date ${monthFirst.text}` };
  }
  if (profile.dateOrder !== undefined) {
    return { value: profile.dateOrder, evidence: `profile ${profile.name}` };
  }
  return { option: "--date-order", reason: `${dates[0].text} may be day first, or month first` };
}

function meterOf(
  { profile, meter, above, names, values }: Table,
  { meterId, fileName }: FormatOptions & { readonly fileName: string },
): Known<string | null> {
  if (meterId !== undefined) return { value: meterId, evidence: "given: --meter-id" };
  if (profile.wide === "meter") return { value: null, evidence: "the columns' names" };
  if (meter >= 0) return { value: null, evidence: `column ${names[meter]}` };
  const said = profile.meterAbove === undefined ? null : cellAbove(above, profile.meterAbove);
  if (said !== null) return { value: said, evidence: "a line above the table" };
  void values;
  return { value: fileName, evidence: "the file's name" };
}

/** The cell under one, or behind it, in the lines above a table; null: there is none. */
function cellAbove(
  above: readonly (readonly string[])[],
  pattern: RegExp,
): string | null {
  for (const [n, cells] of above.entries()) {
    const at = cells.findIndex((cell) => pattern.test(cell.replace(/:$/, "")));
    if (at < 0) continue;
    const behind = cells[at + 1];
    const below = above[n + 1]?.[at];
    // One of several names in a line has its value below it, a name by itself behind it.
    const isNames = cells.filter((cell) => cell !== "").length > 2;
    return (isNames ? below : behind ?? below) || null;
  }
  return null;
}

function unitSaid(
  { profile, unit, above, names, values }: Table,
  rows: readonly (readonly string[])[],
): { readonly unit: Unit; readonly evidence: string } | null {
  const cell = unit < 0 ? undefined : rows.find((row) => unitIn(row[unit] ?? "") !== null)?.[unit];
  if (cell !== undefined) {
    return { unit: unitIn(cell)!, evidence: `column ${names[unit]}: ${cell}` };
  }
  if (profile.unitAbove !== undefined) {
    for (const text of above.flat()) {
      const found = profile.unitAbove.exec(text)?.[1];
      const said = found === undefined ? null : unitIn(found);
      if (said !== null) return { unit: said, evidence: `a line above the table: ${text}` };
    }
    const below = cellAbove(above, profile.unitAbove);
    const said = below === null ? null : unitIn(below);
    if (said !== null) return { unit: said, evidence: `a line above the table: ${below}` };
  }
  const name = names[values[0]];
  const named = profile.wide === undefined ? unitIn(name) : null;
  return named === null ? null : { unit: named, evidence: `column ${name}` };
}

function aboveMinutes({ profile, above }: Table): number | null {
  if (profile.minutesAbove === undefined) return null;
  const text = cellAbove(above, profile.minutesAbove);
  const minutes = Number(text);
  return text !== null && minutes > 0 ? minutes : null;
}

/** The commonest step between rows of one meter and channel, in minutes; null: there is none. */
function stepMinutes(
  table: Table,
  rows: readonly (readonly string[])[],
  order: DateOrder,
): number | null {
  const lastMs = new Map<string, number>();
  const counts = new Map<number, number>();
  for (const row of rows) {
    const ms = Date.parse(timeText(table, row, order).replace(" ", "T"));
    const key = `${row[table.meter]} ${row[table.channel]}`;
    const minutes = Math.abs(ms - (lastMs.get(key) ?? NaN)) / 60_000;
    if (minutes > 0) counts.set(minutes, (counts.get(minutes) ?? 0) + 1);
    lastMs.set(key, ms);
  }
  return [...counts].sort(([a, x], [b, y]) => y - x || a - b)[0]?.[0] ?? null;
}

/** A row's time as ISO 8601 has it, or else as it stands. */
export function timeText(
  { time, clock }: Table,
  row: readonly string[],
  order: DateOrder,
): string {
  const date = row[time] ?? "";
  return isoTime(clock < 0 ? date : `${date} ${row[clock] ?? ""}`, order);
}
