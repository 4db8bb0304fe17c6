import assert from "node:assert/strict";
import {
  committedTask,
  emptyFleet,
  type Fleet,
  startProcess,
  TOPICS,
  untilTrue,
} from "./log_fleet.ts";
import { textOf } from "./memory_log.ts";

const MINUTE_MS = 60_000;
const RAW = { topic: TOPICS.raw, partition: 0 };

/** A reading of `aheadMs` after the clock's time, written now. */
function putReading({ log, clock }: Fleet, aheadMs = 0): void {
  const timestamp = new Date(clock.nowMs() + aheadMs).toISOString();
  const text = JSON.stringify({ meter_id: "M1", timestamp, consumption_kwh: 1 });
  log.put(RAW, { text, timeMs: clock.nowMs() });
}

function ticksOf({ log }: Fleet): string[] {
  const { entries } = log.committed(RAW, 0);
  return entries.map(({ value }) => textOf(value)).filter((text) => text.includes("tick"));
}

/** Runs a process with ticks after a minute until `check`, or so many minutes have gone by. */
async function runUntil(
  fleet: Fleet,
  check: () => boolean,
  options: { minutes?: number; faultAt?: (step: number, operation: string) => "before" | null },
) {
  const process = startProcess(fleet, { ...options, idleTimeoutMs: MINUTE_MS });
  const endsAtMs = fleet.clock.nowMs() + (options.minutes ?? 30) * MINUTE_MS;
  await untilTrue("ticks or time", () => check() || fleet.clock.nowMs() > endsAtMs);
  process.stop();
  await process.done;
  return process;
}

Deno.test("a live partition without records gets a tick a minute in its raw topic", async () => {
  const fleet = emptyFleet(1, { outOfOrdernessMs: 0 });
  const startedAtMs = fleet.clock.nowMs();
  putReading(fleet);
  await runUntil(fleet, () => ticksOf(fleet).length === 3, {});
  const seconds = ticksOf(fleet).map((text) =>
    Math.round((Date.parse(JSON.parse(text).timestamp) - startedAtMs) / 1000)
  );
  assert.equal(seconds.length, 3);
  for (const [n, at] of seconds.entries()) {
    assert.ok(Math.abs(at - 60 * (n + 1)) <= 2, `ticks after ${seconds} s`);
  }
  assert.equal(committedTask(fleet, 0)?.ledger.tick, 3);
});

Deno.test("a live partition whose meters are ahead of the clock gets its tick once time is there", async () => {
  const fleet = emptyFleet(1, { outOfOrdernessMs: 0 });
  putReading(fleet, 3 * MINUTE_MS);
  await runUntil(fleet, () => ticksOf(fleet).length === 1, {});
  assert.equal(ticksOf(fleet).length, 1);
});

Deno.test("no tick for a partition that never had a reading, a replayed one, or history", async () => {
  const never = emptyFleet(1);
  const history = emptyFleet(1);
  putReading(history, -30 * 24 * 60 * MINUTE_MS);
  const replayed = emptyFleet(1, { outOfOrdernessMs: 0 });
  putReading(replayed, -4 * 60 * MINUTE_MS);
  const text = JSON.stringify({ type: "tick", timestamp: "2020-01-01T00:00:00Z" });
  replayed.log.put(RAW, { text, timeMs: replayed.clock.nowMs() });
  for (const [fleet, ticks] of [[never, 0], [history, 0], [replayed, 1]] as const) {
    await runUntil(fleet, () => false, { minutes: 5 });
    assert.equal(ticksOf(fleet).length, ticks);
  }
});

Deno.test("a tick that cannot be written does not stop the worker, and the next one is", async () => {
  const fleet = emptyFleet(1, { outOfOrdernessMs: 0 });
  putReading(fleet);
  let sends = 0;
  const { events } = await runUntil(fleet, () => ticksOf(fleet).length === 2, {
    faultAt: (_, operation) => operation === "send" && ++sends === 1 ? "before" : null,
  });
  assert.equal(ticksOf(fleet).length, 2);
  assert.equal(events.filter(({ event }) => event === "tick_failed").length, 1);
});

Deno.test("no tick while records wait to be read", async () => {
  const fleet = emptyFleet(1, { outOfOrdernessMs: 0 });
  putReading(fleet);
  const owner = { id: "foreign", epoch: fleet.log.takeOver("foreign") };
  const values = new TextEncoder().encode("{}");
  const run = { ...RAW, count: 1, values, valueEnds: [2], timesMs: fleet.clock.nowMs() };
  fleet.log.append({ ...run, keys: null, keyEnds: null, origins: null }, owner);
  await runUntil(fleet, () => false, { minutes: 5 });
  assert.deepEqual(ticksOf(fleet), []);
});
