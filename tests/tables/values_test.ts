import assert from "node:assert/strict";
import {
  isoFromMs,
  percentOf,
  toIsoOrNull,
  toMsOrNull,
  toNumber,
  toNumberOrNull,
} from "../../src/tables/values.ts";

Deno.test("toNumber() takes a bigint however the driver gives it", () => {
  for (const value of [12, "12", 12n]) assert.equal(toNumber(value), 12);
  assert.equal(toNumber(null), 0);
  assert.equal(toNumberOrNull(null), null);
  assert.equal(toNumberOrNull("-0.5"), -0.5);
});

Deno.test("toIsoOrNull() writes Z, and a fraction only where there is one", () => {
  assert.equal(toIsoOrNull(new Date(0)), "1970-01-01T00:00:00Z");
  assert.equal(toIsoOrNull("2013-01-01 10:30:00+00"), "2013-01-01T10:30:00Z");
  assert.equal(toIsoOrNull("2013-01-01 10:30:00.25+01"), "2013-01-01T09:30:00.250Z");
  assert.equal(toIsoOrNull(null), null);
  assert.equal(toMsOrNull("infinity"), null);
  assert.equal(isoFromMs(null), null);
});

Deno.test("percentOf() is 100 only of a whole, and null of nothing", () => {
  assert.equal(percentOf(1, 0), 100);
  assert.equal(percentOf(10_000_000, 1), 99.999);
  assert.equal(percentOf(0, 3), 0);
  assert.equal(percentOf(0, 0), null);
});
