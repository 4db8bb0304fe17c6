import assert from "node:assert/strict";
import { createAnswerCache } from "../../src/api/cache.ts";

const SECOND = { freshMs: 1000, costFactor: 9 };

function createBench() {
  const bench = { nowMs: 0, stamp: "0", busy: false, loads: 0, costMs: 0 };
  const cache = createAnswerCache({ nowMs: () => bench.nowMs, activity: () => bench });
  const load = () => {
    bench.nowMs += bench.costMs;
    return Promise.resolve(++bench.loads);
  };
  return { bench, load, cache };
}

Deno.test("createAnswerCache() gives an answer of the last commit once nothing is committed", async () => {
  const { bench, cache, load } = createBench();
  assert.equal(await cache.get("a", { freshMs: 3000, costFactor: 9 }, load), 1);
  bench.nowMs += 9999;
  assert.equal(await cache.get("a", { freshMs: 3000, costFactor: 9 }, load), 1);
  bench.stamp = "1";
  assert.equal(await cache.get("a", { freshMs: 3000, costFactor: 9 }, load), 2);
});

Deno.test("createAnswerCache() rests nine times as long as an answer took while commits go on", async () => {
  const { bench, cache, load } = createBench();
  bench.busy = true;
  bench.costMs = 2000;
  await cache.get("a", SECOND, load);
  for (let second = 0; second < 17; second++) {
    bench.nowMs += 1000;
    bench.stamp = String(second);
    assert.equal(await cache.get("a", SECOND, load), 1);
  }
  bench.nowMs += 1000;
  bench.stamp = "later";
  assert.equal(await cache.get("a", SECOND, load), 2);
});

Deno.test("createAnswerCache() loads once for all who ask at the same time", async () => {
  const { bench, cache, load } = createBench();
  const asked = [1, 2, 3].map(() => cache.get("a", SECOND, load));
  assert.deepEqual(await Promise.all(asked), [1, 1, 1]);
  assert.equal(bench.loads, 1);
});

Deno.test("createAnswerCache() does not give an answer begun before a commit to who asks after it", async () => {
  const { bench, cache } = createBench();
  let finish = (_: string) => {};
  const slow = () => new Promise<string>((resolve) => finish = resolve);
  const before = cache.get("a", SECOND, slow);
  bench.stamp = "1";
  const after = cache.get("a", SECOND, () => Promise.resolve("new"));
  finish("old");
  assert.equal(await before, "old");
  assert.equal(await after, "new");
});

Deno.test("createAnswerCache() passes a failure on and tries again with the next question", async () => {
  const { cache, load } = createBench();
  const fail = () => Promise.reject(new Error("no"));
  await assert.rejects(cache.get("a", SECOND, fail), /no/);
  assert.equal(await cache.get("a", SECOND, load), 1);
});

Deno.test("createAnswerCache().peek() never waits and never rejects", async () => {
  const { bench, cache, load } = createBench();
  assert.equal(cache.peek("a", SECOND, () => Promise.reject(new Error("no"))), null);
  await Promise.resolve().then(() => {}).then(() => {});
  assert.equal(cache.peek("a", SECOND, load), null);
  await cache.get("a", SECOND, load);
  assert.equal(cache.peek("a", SECOND, load), 1);
  bench.stamp = "1";
  assert.equal(cache.peek("a", SECOND, load), 1);
});

Deno.test("createAnswerCache() keeps a bounded number of answers, the last used", async () => {
  const { bench, cache, load } = createBench();
  await cache.get("first", SECOND, load);
  for (let i = 0; i < 255; i++) await cache.get(`${i}`, SECOND, load);
  await cache.get("first", SECOND, load);
  assert.equal(bench.loads, 256);
  await cache.get("one more", SECOND, load);
  await cache.get("first", SECOND, load);
  assert.equal(bench.loads, 257);
  await cache.get("0", SECOND, load);
  assert.equal(bench.loads, 258);
});

Deno.test("createAnswerCache() rests after a load that took long to fail, and says why meanwhile", async () => {
  const { bench, cache } = createBench();
  let loads = 0;
  const fail = () => {
    loads++;
    bench.nowMs += 2000;
    return Promise.reject(new Error("too slow"));
  };
  await assert.rejects(cache.get("a", SECOND, fail), /too slow/);
  for (let second = 0; second < 17; second++) {
    bench.nowMs += 1000;
    await assert.rejects(cache.get("a", SECOND, fail), /too slow/);
    assert.equal(cache.peek("a", SECOND, fail), null);
  }
  assert.equal(loads, 1);
  bench.nowMs += 1000;
  assert.equal(await cache.get("a", SECOND, () => Promise.resolve(7)), 7);
  assert.equal(await cache.get("a", SECOND, fail), 7);
});
