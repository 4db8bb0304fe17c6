import assert from "node:assert/strict";
import { nearest } from "../../src/core/nearest.ts";

Deno.test("nearest() finds what was meant, and nothing where nothing is near", () => {
  const names = [
    "run",
    "query",
    "verify",
    "demo",
    "doctor",
    "down",
    "kafka.brokers",
    "kafka.group",
  ];
  const cases: [written: string, meant: string | null][] = [
    ["qury", "query"],
    ["QUERY", "query"],
    ["verfiy", "verify"],
    ["rnu", null], // two of three letters: as near to any word of three
    ["ru", "run"],
    ["doc", null],
    ["doct", "doctor"],
    ["brokers", "kafka.brokers"],
    ["kafka.brokrs", "kafka.brokers"],
    ["kafka", null], // two begin so
    ["x", null],
    ["", null],
    ["sixteen letters!", null],
  ];
  for (const [written, meant] of cases) assert.equal(nearest(written, names), meant, written);
});
