/** The text is a JSON number as it stands. */
export const IS_JSON_NUMBER = 1;
/** The text is a finite number, in JSON's or a looser form (`.5`, `+1`, `1.`). */
export const IS_FINITE = 2;

const ZERO = 0x30;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
/** Without an exponent, so many characters cannot reach 1e308. */
const SURELY_FINITE_LENGTH_MAX = 300;
const decoder = new TextDecoder();

/** What the text `bytes[start..end)` is as a number: the bits above. */
export function numberKind(bytes: Uint8Array, start: number, end: number): number {
  let at = start < end && bytes[start] === 0x2d ? start + 1 : start;
  const wholeEnd = digitsEnd(bytes, at, end);
  const hasWhole = wholeEnd > at && (bytes[at] !== ZERO || wholeEnd === at + 1);
  at = wholeEnd;
  if (hasWhole && at < end && bytes[at] === 0x2e) {
    const fractionEnd = digitsEnd(bytes, at + 1, end);
    if (fractionEnd > at + 1) at = fractionEnd;
  }
  if (hasWhole && at === end && end - start <= SURELY_FINITE_LENGTH_MAX) {
    return IS_JSON_NUMBER | IS_FINITE;
  }
  return looseNumberKind(decoder.decode(bytes.subarray(start, end)));
}

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function looseNumberKind(text: string): number {
  const json = JSON_NUMBER.test(text) ? IS_JSON_NUMBER : 0;
  return NUMBER.test(text) && Number.isFinite(Number(text)) ? json | IS_FINITE : json;
}

function digitsEnd(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] >= ZERO && bytes[at] <= ZERO + 9) at++;
  return at;
}
