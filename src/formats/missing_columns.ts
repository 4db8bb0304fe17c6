import {
  ALIASES,
  type CsvColumns,
  type CsvField,
  describeMissing,
  findColumns,
  missingFields,
} from "./csv_header.ts";
import type { Column, ColumnKind } from "./shape.ts";

type Guessed = "meter" | "time" | "value";

/** What such a column holds. */
const KINDS: Readonly<Record<Guessed, readonly ColumnKind[]>> = {
  time: ["instant", "date"],
  value: ["number"],
  meter: ["text", "number", "date"],
};

/** Words in the names of such columns, in the languages of those who export them. */
const WORDS: Readonly<Record<Guessed, RegExp>> = {
  meter: new RegExp(
    "meter|nmi|mpan|mprn|mpxn|esi|prm|pdl|pod\\b|cups|ean\\b|serial|device|sensor|account|" +
      "customer|household|house|site|premise|point|z(ä|ae)hl|contador|contatore|compteur|lcl|" +
      "(^|[_ ])id$|^id",
    "i",
  ),
  time: /start|begin|from|time|stamp|date|horodate|zeit|datum|fecha|hora|heure|d[eé]but|ora\b/i,
  value: new RegExp(
    "kwh|consum|usage|energ|import|valeur|wert|valor|value|verbrauch|reading|quantity|active|" +
      "delivered",
    "i",
  ),
};

/** Whether a column's name is one for what it is to hold. */
export const isNamedFor = (field: Guessed, name: string): boolean => WORDS[field].test(name);

/** Columns that are missing, and a way to have them. */
export type MissingColumns = {
  /** `no meter column: found "a", "b"`. */
  readonly said: string;
  /** Options that name those that stand there; null: not all can be told. */
  readonly add: readonly string[] | null;
  /** Whether no column is the meter's: the file is of one meter. */
  readonly isOneMeter: boolean;
  /** The names that they would be found by. */
  readonly known: string;
  /** Lines: by which names each of the missing is known. */
  readonly lookedFor: readonly string[];
};

/** Says which columns are missing; null: none is. */
export function findMissing(
  columns: readonly Column[],
  given: CsvColumns,
): MissingColumns | null {
  const names = columns.map(({ name }) => name);
  if (missingFields(names, given).length === 0) return null;
  const { said, lookedFor } = describeMissing(names, given);
  const guessed = guessColumns(columns, given);
  const still = missingFields(names, { ...given, ...guessed });
  const isOneMeter = still.length === 1 && still[0] === "meter" && given.meter === undefined;
  const options = Object.entries(guessed).flatMap(([field, name]) => [`--${field}-column`, name]);
  const known = missingFields(names, given).map((field) => given[field] ?? ALIASES[field][0])
    .join(", ");
  return {
    said,
    known,
    add: still.length === 0 || isOneMeter ? options : null,
    isOneMeter,
    lookedFor,
  };
}

/** The likeliest columns for those that are missing, where one stands out. */
function guessColumns(columns: readonly Column[], given: CsvColumns): CsvColumns {
  const names = columns.map(({ name }) => name);
  const taken = findColumns(names, given).filter((column) => column >= 0)
    .map((column) => names[column]);
  const guessed: { [field in CsvField]?: string } = {};
  for (const field of ["time", "meter", "value"] as const) {
    if (!missingFields(names, given).includes(field) || given[field] !== undefined) continue;
    const isFree = (name: string) =>
      name !== "" && !taken.includes(name) && names.indexOf(name) === names.lastIndexOf(name);
    const fit = columns.filter(({ name, kind }) => KINDS[field].includes(kind) && isFree(name));
    const named = fit.find(({ name }) => isNamedFor(field, name));
    // An id may look like anything: it is known by its name alone.
    const one = named ?? (fit.length === 1 && field !== "meter" ? fit[0] : undefined);
    if (one === undefined) continue;
    guessed[field] = one.name;
    taken.push(one.name);
  }
  return guessed;
}
