import { isNamedFor } from "./missing_columns.ts";
import { type Column, isClock, isDated } from "./shape.ts";
import { type Fact, ROWS } from "./unread.ts";

/** So many columns of one day are at least hours of it. */
const SLOTS_MIN = 23;
const SLOT_NAMES: readonly (readonly [count: number, name: string])[] = [
  [24, "hour"],
  [48, "half hour"],
  [96, "quarter hour"],
  [288, "five minutes"],
];
const SHOWN_MAX = 3;

/** A file whose rows are no readings, but days, or moments of several meters; null: it is none. */
export function wideOf(columns: readonly Column[]): Fact | null {
  const names = columns.map(({ name }) => name);
  const slots = Math.max(names.filter(isClock).length, longestRun(names).length);
  if (slots >= SLOTS_MIN) {
    // A day of a clock change has some more, or fewer.
    const near = SLOT_NAMES.find(([count]) => Math.abs(slots - count) <= count / 24);
    const one = near === undefined ? `${slots} columns` : `one column a ${near[1]} (${slots})`;
    return wide(`a row a day, ${one}`);
  }
  if (names.filter(isDated).length > SHOWN_MAX) return wide("one column a moment or day");
  return areMeters(columns) ? wide(`${listed(columns)}, a row a time`) : null;
}

function wide(what: string): Fact {
  return { what: `a wide file: ${what}`, filter: null, note: ROWS, isWhole: true };
}

/** A time and numbers, of which not just one is a meter's id or its value. */
function areMeters(columns: readonly Column[]): boolean {
  const numbers = numbersOf(columns);
  const hasTime = columns.some(({ kind }) => kind === "instant" || kind === "date");
  const isOne = (field: "meter" | "value") =>
    numbers.filter(({ name }) => isNamedFor(field, name)).length === 1;
  const hasOthers = columns.some(({ kind }) => kind === "text" || kind === "clock");
  return hasTime && numbers.length > 1 && !hasOthers && !isOne("meter") && !isOne("value");
}

const numbersOf = (columns: readonly Column[]) => columns.filter(({ kind }) => kind === "number");

function listed(columns: readonly Column[]): string {
  const names = numbersOf(columns).map(({ name }) => JSON.stringify(name));
  const more = names.length > SHOWN_MAX ? `, … ${names.length} in all` : "";
  return `one column a meter or register (${names.slice(0, SHOWN_MAX).join(", ")}${more})`;
}

/** The most names in a row that differ by a number that goes up by one: `hh_0`, `hh_1`, … */
export function longestRun(names: readonly string[]): readonly string[] {
  let longest: readonly string[] = [];
  let run: string[] = [];
  let next: string | null = null;
  for (const name of names) {
    const parts = /^(.*?)0*(\d+)$/.exec(name);
    if (parts === null) run = [];
    else run = `${parts[1]}${parts[2]}` === next ? [...run, name] : [name];
    next = parts === null ? null : `${parts[1]}${Number(parts[2]) + 1}`;
    if (run.length > longest.length) longest = run;
  }
  return longest;
}
