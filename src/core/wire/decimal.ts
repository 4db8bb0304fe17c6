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

/** Bytes that a number takes at most, as `JSON.stringify` writes it. */
export const NUMBER_BYTES_MAX = 25;

/**
 * Writes a finite number as `JSON.stringify` does into `bytes` at `at`, where there must be room; gives
 * the position after it. A whole number of up to 31 bits, and one with up to three decimals and 10
 * digits, is written from integers: the decimal form that reads back as the same double is unique.
 */
export function writeDecimal(value: number, bytes: Uint8Array, at: number): number {
  if ((value | 0) === value && value >= 0) return writeDigits(value, bytes, at);
  const thousandths = Math.round(value * 1000);
  const isPlain = thousandths >= 0 && thousandths < 2 ** 31 && thousandths / 1000 === value;
  if (!isPlain) return writeAscii(JSON.stringify(value), bytes, at);
  const whole = (thousandths / 1000) | 0;
  const rest = thousandths - whole * 1000;
  const tens = (rest / 10) | 0;
  let end = writeDigits(whole, bytes, at);
  bytes[end++] = POINT;
  bytes[end++] = ZERO + ((rest / 100) | 0);
  if (rest % 100 > 0) bytes[end++] = ZERO + tens % 10;
  if (rest % 10 > 0) bytes[end++] = ZERO + rest % 10;
  return end;
}

function writeDigits(value: number, bytes: Uint8Array, at: number): number {
  if (value < 10) {
    bytes[at] = ZERO + value;
    return at + 1;
  }
  let digits = 1;
  for (let power = 10; power <= value; power *= 10) digits++;
  for (let d = digits - 1, rest = value; d >= 0; d--) {
    bytes[at + d] = ZERO + rest % 10;
    rest = (rest / 10) | 0;
  }
  return at + digits;
}

function writeAscii(text: string, bytes: Uint8Array, at: number): number {
  for (let p = 0; p < text.length; p++) bytes[at + p] = text.charCodeAt(p);
  return at + text.length;
}
