import assert from "node:assert/strict";
import fc from "fast-check";
import { decimalEnd, parseDecimal } from "../../../src/core/wire/decimal.ts";

const encoder = new TextEncoder();

/** Reads a text that stands among others. */
function read(text: string): number {
  const bytes = encoder.encode(`12${text}34`);
  return parseDecimal(bytes, 2, bytes.length - 2);
}

Deno.test("parseDecimal() gives the double that JSON.parse() gives, for up to 15 digits", () => {
  const digits = fc.integer({ min: 0, max: 999_999_999_999_999 });
  fc.assert(fc.property(digits, fc.nat(15), fc.boolean(), (integer, decimals, isNegative) => {
    const all = String(integer).padStart(decimals + 1, "0");
    const whole = all.slice(0, all.length - decimals);
    const text = (isNegative ? "-" : "") +
      (decimals === 0 ? whole : `${whole}.${all.slice(-decimals)}`);
    const count = all.length;
    const value = read(text);
    if (count > 15) assert.ok(Number.isNaN(value), text);
    else assert.ok(Object.is(value, JSON.parse(text)), `${text}: ${value}`);
  }));
  for (const text of ["0", "-0", "0.0", "-0.000", "999999999999999", "0.1", "123456789012.345"]) {
    assert.ok(Object.is(read(text), JSON.parse(text)), text);
  }
});

Deno.test("parseDecimal() leaves to JSON.parse() whatever has another form", () => {
  const others = [
    "",
    "-",
    ".",
    ".5",
    "1.",
    "01",
    "-01",
    "00",
    "+1",
    "1e3",
    "1E3",
    "--1",
    "1-",
    "1.2.3",
  ];
  others.push("1 ", " 1", "1,5", "1234567890123456", "0.1234567890123456", "NaN", "9".repeat(400));
  for (const text of others) assert.ok(Number.isNaN(read(text)), text);
});

Deno.test("decimalEnd() stops at the first sign that no plain decimal has", () => {
  const table: [text: string, end: number][] = [["1.5}", 3], ["-0.25,", 5], ["1e3}", 1], ["}", 0]];
  for (const [text, end] of [...table, ["12", 2]] as const) {
    assert.equal(decimalEnd(encoder.encode(text), 0, text.length), end, text);
  }
});
