import type { ListPage } from "../tables/query.ts";

/** A parameter that cannot be used. Becomes a 400. */
export class ParameterError extends Error {
  override name = "ParameterError";
  constructor(message: string, readonly hint: string) {
    super(message);
  }
}

/** The rows a list gives unless told, and at most. */
export const LIMIT_DEFAULT = 100;
export const LIMIT_MAX = 1000;
const OFFSET_MAX = 10_000_000;
const TEXT_LENGTH_MAX = 1000;
const SHOWN_LENGTH_MAX = 60;
const INSTANT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/;

/** A request's parameters by name. A name not in `known`, or given twice, is an error. */
export function readParameters(url: string, known: readonly string[]): Map<string, string> {
  const parameters = new Map<string, string>();
  if (!URL.canParse(url)) {
    throw new ParameterError("Cannot read the address", "Is its Host header that of a host?");
  }
  for (const [name, value] of new URL(url).searchParams) {
    if (!known.includes(name)) {
      const hint = known.length === 0
        ? "This address takes no parameters"
        : `It takes ${known.join(", ")}`;
      throw new ParameterError(
        `Cannot take the parameter ${shown(name)}: there is none such`,
        hint,
      );
    }
    if (parameters.has(name)) {
      throw new ParameterError(
        `Cannot use ${name} twice`,
        `Give ${name} once`,
      );
    }
    parameters.set(name, value);
  }
  return parameters;
}

/** A whole number between its bounds. */
export function wholeNumber(
  parameters: ReadonlyMap<string, string>,
  name: string,
  bounds: { readonly default: number; readonly min: number; readonly max: number },
): number {
  const text = parameters.get(name);
  if (text === undefined) return bounds.default;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= bounds.min && value <= bounds.max) return value;
  throw new ParameterError(
    `Cannot use ${name}=${shown(text)}: must be a whole number from ${bounds.min} to ${bounds.max}`,
    `Leave it out for ${bounds.default}`,
  );
}

/** `limit` and `offset`. */
export function listPage(parameters: ReadonlyMap<string, string>): ListPage {
  return {
    limit: wholeNumber(parameters, "limit", { default: LIMIT_DEFAULT, min: 1, max: LIMIT_MAX }),
    offset: wholeNumber(parameters, "offset", { default: 0, min: 0, max: OFFSET_MAX }),
  };
}

/** One of `choices`; upper and lower case are the same. Null when it is left out. */
export function choice<T extends string>(
  parameters: ReadonlyMap<string, string>,
  name: string,
  choices: readonly T[],
): T | null {
  const text = parameters.get(name);
  if (text === undefined) return null;
  const found = choices.find((each) => each.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw new ParameterError(
    `Cannot use ${name}=${shown(text)}: there is none such`,
    `Use one of ${choices.join(", ")}`,
  );
}

/** Any text the store can compare with; an empty one is an error. Null when it is left out. */
export function text(parameters: ReadonlyMap<string, string>, name: string): string | null {
  const value = parameters.get(name);
  return value === undefined ? null : usableText(name, value);
}

/** The same for a value out of the path. */
export function usableText(name: string, value: string): string {
  if (value === "" || value.length > TEXT_LENGTH_MAX || value.includes("\0")) {
    throw new ParameterError(
      `Cannot use ${name}=${shown(value)}: must be 1 to ${TEXT_LENGTH_MAX} characters, none NUL`,
      `Leave ${name} out for all`,
    );
  }
  return value;
}

/** Epoch milliseconds of a date or of a time with its offset. Null when it is left out. */
export function instantMs(parameters: ReadonlyMap<string, string>, name: string): number | null {
  const value = parameters.get(name);
  if (value === undefined) return null;
  const ms = INSTANT.test(value) && isDay(value.slice(0, 10)) ? Date.parse(value) : NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new ParameterError(
    `Cannot use ${name}=${shown(value)}: must be ISO 8601 with an offset, or a date`,
    `Such as ${name}=2013-01-31 or ${name}=2013-01-31T10:30:00Z`,
  );
}

/** Whether the calendar has the day: `Date.parse` takes 31 February for 3 March, a store no year 0. */
function isDay(day: string): boolean {
  const ms = Date.parse(`${day}T00:00:00Z`);
  return day >= "0001" && !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 10) === day;
}

function shown(value: string): string {
  const cut = value.length > SHOWN_LENGTH_MAX ? `${value.slice(0, SHOWN_LENGTH_MAX)}…` : value;
  return JSON.stringify(cut);
}
