import type { DateOrder, Unit } from "./profile.ts";

/* Cells as they are written in meter files, made what a plain file has in their place. */

/** The cells of one line, without their quotes and blanks; null: a quote that never closes. */
export function splitCells(line: string, delimiter: string): string[] | null {
  if (!line.includes('"')) return line.split(delimiter).map(trimCell);
  const cells: string[] = [];
  let at = 0;
  for (;;) {
    while (line[at] === " ") at++;
    if (line[at] !== '"') {
      const end = line.indexOf(delimiter, at);
      cells.push(trimCell(end < 0 ? line.slice(at) : line.slice(at, end)));
      if (end < 0) return cells;
      at = end + 1;
      continue;
    }
    let text = "";
    for (at++;; at++) {
      const quote = line.indexOf('"', at);
      if (quote < 0) return null;
      text += line.slice(at, quote);
      at = quote + 1;
      if (line[at] !== '"') break;
      text += '"';
    }
    const end = line.indexOf(delimiter, at);
    cells.push(trimCell(text + (end < 0 ? line.slice(at) : line.slice(at, end))));
    if (end < 0) return cells;
    at = end + 1;
  }
}

function trimCell(cell: string): string {
  return cell.trim();
}

const SLASHED = /^(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})(?:[ T]+(.*))?$/;
const CLOCK = /^(\d{1,2})(?::(\d{2}))?(?::(\d{2})(?:\.\d*)?)?\s*([ap])?\.?m?\.?$/i;

/**
 * A time as ISO 8601 has it, or else the text as it stands: whoever reads it says that it is none.
 * What is in ISO 8601 already is kept, with its offset.
 */
export function isoTime(text: string, order: DateOrder): string {
  if (/^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d([.,]\d+)?)?)?\s*(Z|[+-]\d\d(:?\d\d)?)?$/i.test(text)) {
    return text;
  }
  const found = SLASHED.exec(text);
  if (found === null) return text;
  const [, first, , second, third, clock = ""] = found;
  const [year, month, day] = first.length === 4
    ? [first, second, third]
    : order === "mdy"
    ? [third, first, second]
    : [third, second, first];
  const date = `${year.length === 2 ? `20${year}` : year}-${two(month)}-${two(day)}`;
  if (clock === "") return date;
  const time = isoClock(clock);
  return time === null ? text : `${date} ${time}`;
}

/** A time of day as `HH:MM:SS`; null: it is none. */
export function isoClock(text: string): string | null {
  const found = CLOCK.exec(text.trim());
  if (found === null) return null;
  const [, hour, minute = "00", second = "00", half] = found;
  if (half === undefined) return `${two(hour)}:${minute}:${second}`;
  const hours = Number(hour) % 12 + (half.toLowerCase() === "p" ? 12 : 0);
  return `${two(String(hours))}:${minute}:${second}`;
}

const two = (text: string) => text.padStart(2, "0");

/** The day of a date, and its month, where either may be the first: what may tell their order. */
export function datePartsOf(text: string): readonly [number, number] | null {
  const found = SLASHED.exec(text);
  return found === null || found[1].length === 4 ? null : [Number(found[1]), Number(found[3])];
}

/** Of an energy in kWh, how much one of the unit is; over `minutes` where it is a power. */
export function kwhOf(unit: Unit, minutes: number): number {
  switch (unit) {
    case "kWh":
      return 1;
    case "Wh":
      return 1 / 1000;
    case "MWh":
      return 1000;
    case "kW":
      return minutes / 60;
    case "W":
      return minutes / 60_000;
  }
  unit satisfies never;
}

/** The unit that a text names; null: none that is known. */
export function unitIn(text: string): Unit | null {
  const found = /(?:^|[^a-z])(kwh|mwh|wh|kw|w)(?:$|[^a-z])/i.exec(text);
  if (found === null) return null;
  const units: readonly Unit[] = ["kWh", "MWh", "Wh", "kW", "W"];
  return units.find((unit) => unit.toLowerCase() === found[1].toLowerCase()) ?? null;
}

const PLAIN_NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A value in kWh, as a number is written; or else the text as it stands. */
export function kwhText(text: string, decimal: "point" | "comma", factor: number): string {
  const pointed = decimal === "comma"
    ? text.replace(/[. \u00a0](?=\d{3})/g, "").replace(",", ".")
    : text;
  if (!PLAIN_NUMBER.test(pointed)) return text;
  if (factor === 1) return pointed;
  // Twelve digits are more than any meter has: the last ones are those of the multiplication.
  return String(Number((Number(pointed) * factor).toPrecision(12)));
}
