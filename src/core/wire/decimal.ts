const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
/** More digits than these, and their integer or its power of ten may be no exact double. */
const DIGITS_MAX = 15;
const POWERS_OF_TEN = Array.from({ length: DIGITS_MAX + 1 }, (_, power) => 10 ** power);

/** Where the signs of a plain decimal end: the first that is neither digit, point nor minus. */
export function decimalEnd(bytes: Uint8Array, start: number, end: number): number {
  let p = start;
  while (p < end && (isDigit(bytes[p]) || bytes[p] === POINT || bytes[p] === MINUS)) p++;
  return p;
}

/**
 * Reads `bytes[start..end)` as a plain JSON number: no exponent, at most 15 digits. NaN: it has
 * another form, and `JSON.parse` must decide.
 *
 * Exact: an integer below 2^53 divided by a power of ten up to 22 is rounded once (Clinger 1990,
 * "How to read floating point numbers accurately").
 */
export function parseDecimal(bytes: Uint8Array, start: number, end: number): number {
  const negative = start < end && bytes[start] === MINUS;
  const firstDigit = negative ? start + 1 : start;
  let p = firstDigit;
  let mantissa = 0;
  while (p < end && isDigit(bytes[p])) mantissa = mantissa * 10 + bytes[p++] - ZERO;
  const whole = p - firstDigit;
  if (whole === 0 || (whole > 1 && bytes[firstDigit] === ZERO)) return NaN;
  let decimals = 0;
  if (p < end && bytes[p] === POINT) {
    const firstDecimal = ++p;
    while (p < end && isDigit(bytes[p])) mantissa = mantissa * 10 + bytes[p++] - ZERO;
    decimals = p - firstDecimal;
    if (decimals === 0) return NaN;
  }
  if (p !== end || whole + decimals > DIGITS_MAX) return NaN;
  const value = mantissa / POWERS_OF_TEN[decimals];
  return negative ? -value : value;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/**
 * A finite number that is written as text (`.5`, `+1`, `1.`, white space of any kind around it); NaN:
 * none. Files and records ask this one function, so that no text is a number to one alone.
 */
export function parseNumberText(text: string): number {
  const trimmed = text.trim();
  const number = NUMBER.test(trimmed) ? Number(trimmed) : NaN;
  return Number.isFinite(number) ? number : NaN;
}
