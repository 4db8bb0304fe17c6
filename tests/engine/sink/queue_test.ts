import assert from "node:assert/strict";
import { emptyLedger } from "../../../src/core/ledger.ts";
import type { TaskAccount } from "../../../src/core/task_state.ts";
import type { LogBatch, LogEnds } from "../../../src/engine/log/ports.ts";
import type { SinkCommit, SinkKind } from "../../../src/engine/sink/ports.ts";
import { SinkQueue } from "../../../src/engine/sink/queue.ts";

const KINDS: Record<string, SinkKind | null> = {
  v: "validated",
  g: "gap",
  l: "late",
  r: "rejected",
  m: "metric",
  c: null,
};

function queueAt(places: Partial<Record<string, [offset: number, messages: number]>> = {}) {
  return new SinkQueue(
    0,
    Object.entries(KINDS).map(([topic, kind]) => {
      const [offset, messages] = places[topic] ?? [0, 0];
      return { topic, kind, offset, messages };
    }),
  );
}

/** Messages from offset `from` on, by the raw records they came from; a marker stands behind them. */
function batch(topic: string, from: number, origins: number[], bytesEach = 1): LogBatch {
  const count = origins.length;
  const starts = Int32Array.from(origins, (_, r) => r * bytesEach);
  return {
    topic,
    partition: 0,
    count,
    bytes: new Uint8Array(count * bytesEach),
    values: { starts, ends: starts.map((start) => start + bytesEach) },
    offsets: Float64Array.from(origins, (_, r) => from + r),
    timesMs: new Float64Array(count),
    keys: null,
    origins: {
      partitions: new Int32Array(count),
      offsets: Float64Array.from(origins),
      indexes: new Int32Array(count),
    },
    nextOffset: from + count + 1,
    logEndOffset: from + count + 1,
    lastStableOffset: from + count + 1,
  };
}

/** An account of so many accepted and rejected readings, up to a raw offset. */
function account(nextOffset: number, ok: number, rejected = 0): TaskAccount {
  const ledger = { ...emptyLedger(), raw: ok + rejected, ok, rejected };
  return { nextOffset, watermarkMs: 0, ledger };
}

const taken = ({ runs }: SinkCommit) =>
  runs.map(({ kind, batch, first, end }) => [
    kind,
    ...batch.origins?.offsets.slice(first, end) ?? [],
  ]);
const moved = ({ moves }: SinkCommit) =>
  Object.fromEntries(moves.map(({ topic, from, to, messages }) => [topic, [from, to, messages]]));

/** A log whose transactions have ended, or one with an open one. */
const ends = (stable: number, end = stable): LogEnds => ({
  logStartOffset: 0,
  lastStableOffset: stable,
  logEndOffset: end,
});

/** The log says twice of the gaps that there are no more: no ledger counts them. */
function hearNoGaps(queue: SinkQueue): void {
  for (let n = 0; n < 2; n++) queue.observe((topic) => topic === "g" ? ends(0) : null);
}

Deno.test("SinkQueue.take() cuts every counted topic where the processor's commit ended", () => {
  const queue = queueAt();
  queue.push(batch("v", 0, [0, 1, 3, 4, 5]));
  queue.push(batch("r", 0, [2, 6]));
  queue.push(batch("m", 0, [4, 9]));
  assert.equal(queue.isAligned, false);
  queue.pushAccounts(batch("c", 0, [0]), [{ account: account(4, 3, 1), offset: 0 }]);
  assert.equal(queue.isAligned, false, "there may be gaps to come");
  hearNoGaps(queue);
  assert.equal(queue.isAligned, true);
  const commit = queue.take(false);
  assert.deepEqual(taken(commit), [["validated", 0, 1, 3], ["rejected", 2], ["metric", 4, 9]]);
  assert.deepEqual(moved(commit), { v: [0, 3, 3], r: [0, 1, 1], m: [0, 3, 2], c: [0, 2, 0] });
  assert.equal(commit.account?.nextOffset, 4);
  assert.equal(queue.records, 3);
  assert.equal(queue.isBehind, true);
});

Deno.test("SinkQueue waits until every row that the account counts was read", () => {
  const queue = queueAt();
  queue.pushAccounts(batch("c", 0, [0]), [{ account: account(4, 3, 1), offset: 0 }]);
  hearNoGaps(queue);
  queue.push(batch("v", 0, [0, 1]));
  queue.push(batch("r", 0, [2]));
  assert.equal(queue.isAligned, false);
  queue.push(batch("v", 3, [3]));
  assert.equal(queue.isAligned, true);
  assert.equal(queue.take(false).account?.nextOffset, 4);
});

Deno.test("SinkQueue counts on from what the store has", () => {
  const queue = queueAt({ v: [12, 10], r: [5, 4] });
  queue.pushAccounts(batch("c", 0, [0]), [{ account: account(20, 12, 4), offset: 0 }]);
  hearNoGaps(queue);
  queue.push(batch("v", 12, [14]));
  assert.equal(queue.isAligned, false);
  queue.push(batch("v", 14, [15]));
  assert.equal(queue.isAligned, true);
  assert.deepEqual(moved(queue.take(false)), { v: [12, 16, 2], c: [0, 2, 0] });
});

Deno.test("SinkQueue takes the latest account that is complete, and of a batch only so far", () => {
  const queue = queueAt();
  queue.pushAccounts(batch("c", 0, [0, 0, 0]), [
    { account: account(2, 2), offset: 0 },
    { account: account(4, 4), offset: 1 },
    { account: account(6, 6), offset: 2 },
  ]);
  hearNoGaps(queue);
  queue.push(batch("v", 0, [0, 1, 2, 3, 4]));
  const first = queue.take(false);
  assert.deepEqual([first.account?.nextOffset, taken(first)], [4, [["validated", 0, 1, 2, 3]]]);
  assert.deepEqual(moved(first).c, [0, 2, 0], "the third account is read again after a restart");
  queue.push(batch("v", 6, [5]));
  const second = queue.take(false);
  assert.deepEqual([second.account?.nextOffset, taken(second)], [6, [
    ["validated", 4],
    ["validated", 5],
  ]]);
  assert.deepEqual(moved(second).c, [2, 4, 0]);
});

Deno.test("SinkQueue waits for the gaps of an account, which nothing counts", () => {
  const queue = queueAt();
  queue.pushAccounts(batch("c", 0, [0, 0]), [
    { account: account(2, 2), offset: 0 },
    { account: account(4, 4), offset: 1 },
  ]);
  queue.push(batch("v", 0, [0, 1, 2, 3]));
  assert.equal(queue.isAligned, false);
  queue.push(batch("g", 0, [1]));
  assert.equal(queue.isAligned, false, "that record may have said more");
  queue.push(batch("g", 2, [2, 2]));
  assert.deepEqual(taken(queue.take(false)), [["validated", 0, 1], ["gap", 1]]);
  const answer = (stable: number) => queue.observe((t) => t === "g" ? ends(stable) : null);
  answer(5);
  assert.equal(queue.isAligned, false);
  answer(5);
  assert.equal(queue.isAligned, true, "the log has no more");
  assert.deepEqual(taken(queue.take(false)), [["validated", 2, 3], ["gap", 2, 2]]);
});

Deno.test("SinkQueue asks the log where rows were deleted before the store had them", () => {
  const queue = queueAt({ v: [100, 0] });
  queue.push(batch("v", 100, [110]));
  queue.pushAccounts(batch("c", 0, [0]), [{ account: account(111, 99), offset: 0 }]);
  const answer = (stable: number, end?: number) =>
    queue.observe((topic) => topic === "v" ? ends(stable, end) : ends(0));
  answer(102);
  assert.equal(queue.isAligned, false, "that may have been asked for before the account was seen");
  answer(102, 105);
  assert.equal(queue.isAligned, false, "the open transaction may be this account's");
  answer(104);
  assert.equal(queue.isAligned, false, "there is more to read");
  answer(102);
  assert.equal(queue.isAligned, true);
});

Deno.test("SinkQueue.take(all) goes ahead of a ledger that is not complete", () => {
  const queue = queueAt();
  queue.push(batch("v", 0, [0, 1]));
  queue.pushAccounts(batch("c", 0, [0]), [{ account: account(9, 8), offset: 0 }]);
  const commit = queue.take(true);
  assert.equal(commit.account, null);
  assert.deepEqual(moved(commit), { v: [0, 3, 2] });
  queue.push(batch("v", 3, [2, 3, 5, 6, 7, 8]));
  hearNoGaps(queue);
  assert.equal(queue.take(false).account?.nextOffset, 9);
});

Deno.test("SinkQueue.isFull() bounds what waits, but lets an account be reached", () => {
  const queue = queueAt();
  queue.push(batch("v", 0, [0, 1, 2]));
  assert.equal(queue.isFull("v", 2), false, "no account is known yet");
  queue.pushAccounts(batch("c", 0, [0]), [{ account: account(3, 3), offset: 0 }]);
  assert.equal(queue.isFull("v", 2), true);
  assert.equal(queue.isFull("v", 4), false);
  const endless = queueAt();
  for (let n = 0; n < 8; n++) endless.push(batch("v", n * 2, [n]));
  assert.equal(endless.isFull("v", 2), true);
  const large = queueAt();
  large.push(batch("r", 0, [0, 1], 20 << 20));
  assert.equal(large.isFull("r", 1000), true);
});

Deno.test("SinkQueue moves the position over what holds no messages", () => {
  const queue = queueAt();
  queue.push({ ...batch("v", 0, []), nextOffset: 7 });
  assert.equal(queue.isBehind, true);
  assert.deepEqual(moved(queue.take(true)), { v: [0, 7, 0] });
  assert.equal(queue.isBehind, false);
  assert.deepEqual(queue.take(true).moves, []);
});
