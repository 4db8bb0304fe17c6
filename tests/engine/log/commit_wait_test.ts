import assert from "node:assert/strict";
import { type CommitLoad, commitWaitMs } from "../../../src/engine/log/commit_wait.ts";

const LIMITS = { commitRecordsMax: 1000, commitIntervalMs: 1000, commitIntervalBehindMs: 5000 };
const IDLE: CommitLoad = { partitions: 1, lagRecords: 0 };

for (
  const [what, load, expected] of [
    ["one partition, and nothing waits", {}, 50],
    ["four partitions share 40 commits a second", { partitions: 4 }, 100],
    ["six of them wait longer", { partitions: 6 }, 150],
    ["as many as the setting has room for", { partitions: 40 }, 1000],
    ["more of them commit less often", { partitions: 100 }, 2500],
    ["many commit as seldom as one that is behind", { partitions: 300 }, 5000],
    ["as many wait as a commit holds", { lagRecords: 1000 }, 50],
    ["more wait", { lagRecords: 1001 }, 5000],
  ] as const
) {
  Deno.test(`commitWaitMs() is ${expected}: ${what}`, () => {
    assert.equal(commitWaitMs({ ...IDLE, ...load }, LIMITS), expected);
  });
}

Deno.test("commitWaitMs() is never longer than a short setting, with few partitions", () => {
  assert.equal(commitWaitMs(IDLE, { ...LIMITS, commitIntervalMs: 30 }), 30);
});
