import assert from "node:assert/strict";
import { behindLines } from "../../src/setup/behind.ts";
import { readConfig } from "../../src/config.ts";

const HOUR_MS = 3_600_000;
const HELD_TO_MS = Date.UTC(2014, 0, 1);
const WORDS = { place: "smartmeter_raw", wayOut: "another" };

function lines(firstMs: number | null, heldToMs: number | null, scope = "partition"): string[] {
  const config = readConfig(
    null,
    (name) => name === "GRIDWATCH_WATERMARK_SCOPE" ? scope : undefined,
  );
  return behindLines({ firstMs, heldToMs, config }, WORDS);
}

Deno.test("behindLines() warns of files older than what is held by more than the lateness", () => {
  assert.deepEqual(lines(HELD_TO_MS - HOUR_MS - 1, HELD_TO_MS), [
    "warning: smartmeter_raw goes to 2014-01-01T00:00:00Z already and these files begin at " +
    "2013-12-31T22:59:59.999Z: what is older will be too late",
    "hint: another",
  ]);
});

Deno.test("behindLines() says nothing of the next month, a new topic, or a clock for each meter", () => {
  assert.deepEqual(lines(HELD_TO_MS - HOUR_MS, HELD_TO_MS), []);
  assert.deepEqual(lines(HELD_TO_MS + HOUR_MS, HELD_TO_MS), []);
  assert.deepEqual(lines(0, null), []);
  assert.deepEqual(lines(null, HELD_TO_MS), []);
  assert.deepEqual(lines(0, HELD_TO_MS, "meter"), []);
});
