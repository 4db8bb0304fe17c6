import assert from "node:assert/strict";
import { LogError } from "../../../src/engine/log/ports.ts";
import { playIntoLog, storedReplay } from "../../../src/engine/log/player.ts";
import { FencedError } from "../../../src/engine/ports.ts";
import { type RawRecord, toChunks } from "../../simulation/playback.ts";
import { emptyFleet, type Fleet, reliable, TOPICS, untilTrue } from "./log_fleet.ts";
import { MemoryClient, STEP_FAULTS, type StepFault } from "./memory_client.ts";
import { textOf } from "./memory_log.ts";

const PARTITIONS = 3;
const GROUP = "replay-of-this";

/** Readings of a few meters, and a tick for all partitions after every seventh. */
const records: RawRecord[] = Array.from(
  { length: 300 },
  (_, n) =>
    n % 8 === 7 ? { partition: -1, text: `{"type":"tick","timestamp":${n}}` } : {
      partition: (n * 5) % PARTITIONS,
      text: n % 11 === 0
        ? `{"n":${n}}`
        : `{"meter_id":"M${n % 4}","timestamp":${n},"consumption_kwh":1}`,
    },
);

const REPLAY_START_MS = Date.UTC(2024, 5, 1);

type PlayOptions = {
  readonly faultAt?: (step: number, operation: string) => StepFault | null;
  readonly signal?: AbortSignal;
  readonly ratePerSecond?: number;
};

function play(fleet: Fleet, { faultAt = () => null, signal, ratePerSecond }: PlayOptions = {}) {
  const { log, clock, group } = fleet;
  const client = new MemoryClient(log, {
    ...{ clock, group, faultAt, turns: () => 1, batchRecordsMax: 50 },
  });
  const played = playIntoLog(toChunks(records, 40), {
    topic: TOPICS.raw,
    partitions: PARTITIONS,
    group: GROUP,
    admin: client.admin(),
    committer: (partition) => client.committer(`${GROUP}-${partition}`),
    batchRecordsMax: 25,
    replayStartMs: REPLAY_START_MS,
    note: "2024",
    commitIntervalMs: 100,
    ratePerSecond: ratePerSecond ?? Infinity,
    clock,
    signal: signal ?? new AbortController().signal,
    onProgress: () => {},
  });
  played.catch(() => {}); // whoever waits for it hears it
  return { client, played };
}

/** Keys and values of the raw topic, by partition. */
function rawLines({ log }: Fleet): string[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => {
    const { entries } = log.committed({ topic: TOPICS.raw, partition }, 0);
    return entries.map(({ key, value }) => `${partition} ${textOf(key)} ${textOf(value)}`);
  }).flat();
}

let expected: string[] = [];
let steps = 0;

Deno.test("playIntoLog() writes every record in its partition, keyed by its meter", async () => {
  const fleet = emptyFleet(PARTITIONS);
  const { client, played } = play(fleet);
  const ticks = records.filter(({ partition }) => partition < 0).length;
  const sent = records.length + ticks * (PARTITIONS - 1);
  assert.deepEqual(await played, { isFinished: true, resumedAfter: 0, sent });
  expected = rawLines(fleet);
  steps = client.steps;
  assert.equal(expected.length, sent);
  const { entries } = fleet.log.committed({ topic: TOPICS.raw, partition: 0 }, 0);
  const starts = new Set(entries.map(({ replayStartMs }) => replayStartMs));
  assert.deepEqual([...starts], [REPLAY_START_MS], "each says that it is of this replay");
  for (let p = 0; p < PARTITIONS; p++) {
    const wanted = records.filter(({ partition }) => partition === p || partition === -1);
    assert.deepEqual(
      expected.filter((line) => line.startsWith(`${p} `)),
      wanted.map(({ text }) => `${p} ${/"meter_id":"(\w+)"/.exec(text)?.[1] ?? ""} ${text}`),
    );
  }
});

Deno.test("playIntoLog() of what is played already sends nothing", async () => {
  const fleet = emptyFleet(PARTITIONS);
  await play(fleet).played;
  const again = await play(fleet).played;
  assert.deepEqual(again, { isFinished: true, resumedAfter: expected.length, sent: 0 });
  assert.deepEqual(rawLines(fleet), expected);
});

for (const kind of STEP_FAULTS) {
  Deno.test(`playIntoLog() run again leaves the same topic whichever step fails: ${kind}`, async () => {
    assert.ok(steps > 50);
    for (let at = 0; at < steps; at++) {
      const fleet = emptyFleet(PARTITIONS);
      const { client, played } = play(fleet, { faultAt: (step) => step === at ? kind : null });
      let ended = false;
      played.catch((error) => {
        assert.ok(error instanceof LogError || error instanceof FencedError, `step ${at}`);
      }).finally(() => ended = true);
      await untilTrue(`step ${at}`, () => ended || client.isDead);
      const { isFinished, sent, resumedAfter } = await play(fleet).played;
      assert.equal(isFinished, true);
      assert.equal(sent + resumedAfter, expected.length, `step ${at}`);
      assert.deepEqual(rawLines(fleet), expected, `fault ${kind} at step ${at}`);
    }
  });
}

Deno.test("of two replays at the same time the later goes on, and the earlier is fenced", async () => {
  for (let at = 1; at < steps; at += 5) {
    const fleet = emptyFleet(PARTITIONS);
    const earlier = play(fleet);
    await untilTrue("it is at work", () => earlier.client.steps >= at);
    const later = play(fleet);
    const [first, second] = await Promise.allSettled([earlier.played, later.played]);
    assert.equal(second.status, "fulfilled", `the later started at step ${at}`);
    if (first.status === "rejected") {
      // Fenced in one partition, it may have been so at its commit or have found it closed.
      assert.ok(first.reason instanceof FencedError, `${first.reason}, step ${at}`);
    }
    assert.deepEqual(rawLines(fleet), expected, `the later started at step ${at}`);
  }
});

Deno.test("playIntoLog() told to stop keeps what it sent, and the next goes on behind that", async () => {
  const fleet = emptyFleet(PARTITIONS);
  const controller = new AbortController();
  const { client, played } = play(fleet, { signal: controller.signal });
  await untilTrue("it is at work", () => client.steps >= steps / 2);
  controller.abort();
  const { isFinished, sent } = await played;
  assert.equal(isFinished, false);
  assert.equal(rawLines(fleet).length, sent);
  const next = await play(fleet).played;
  assert.deepEqual(next, { isFinished: true, resumedAfter: sent, sent: expected.length - sent });
  assert.deepEqual(rawLines(fleet), expected);
});

Deno.test("playIntoLog() keeps to its rate, and commits while it waits", async () => {
  const fleet = emptyFleet(PARTITIONS);
  const startedAtMs = fleet.clock.nowMs();
  await play(fleet, { ratePerSecond: 100 }).played;
  const seconds = (fleet.clock.nowMs() - startedAtMs) / 1000;
  const readings = records.filter(({ partition }) => partition >= 0).length;
  assert.ok(readings < expected.length);
  assert.ok(seconds >= readings / 100 - 0.1 && seconds < readings / 100 + 1, `${seconds} s`);
  assert.deepEqual(rawLines(fleet), expected);
});

Deno.test("storedReplay() finds the note of a replay that has begun, or is finished", async () => {
  const fleet = emptyFleet(PARTITIONS);
  const admin = reliable(fleet).admin();
  const of = { topic: TOPICS.raw, partitions: PARTITIONS, group: GROUP, admin };
  assert.equal(await storedReplay(of), null);
  const { client } = play(fleet);
  await untilTrue("it has begun", () => client.steps > steps / 2);
  client.die();
  assert.deepEqual(await storedReplay(of), { note: "2024", isFinished: false });
  await play(fleet).played;
  assert.deepEqual(await storedReplay(of), { note: "2024", isFinished: true });
});
