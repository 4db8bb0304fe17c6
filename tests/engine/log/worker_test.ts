import assert from "node:assert/strict";
import { isStuck } from "../../../src/setup/health.ts";
import { encodeTask } from "../../../src/core/codec.ts";
import { DISPOSITIONS } from "../../../src/core/ledger.ts";
import { Processor } from "../../../src/core/processor.ts";
import { createRandom, type Random, randomInteger } from "../../../src/generate/random.ts";
import { assertSameAnswer } from "../../simulation/playback.ts";
import {
  appendRaw,
  committedTask,
  emptyFleet,
  expectedLines,
  filledFleet,
  type Fleet,
  foundLines,
  isDone,
  type Process,
  startProcess,
  TOPICS,
  untilTrue,
  verifyFleet,
} from "./log_fleet.ts";
import { STEP_FAULTS, type StepFault } from "./memory_client.ts";

const SEED = 3;
const SHAPE = { seed: SEED, partitions: 2, records: 200 };

/** The fleet's outputs are those of an undisturbed run, and `verify` says so. */
async function assertAsExpected(fleet: Fleet, context: string): Promise<void> {
  for (const { partition, differences } of await verifyFleet(fleet)) {
    assert.deepEqual(differences, [], `${context}, partition ${partition}`);
  }
  assertSameAnswer(await foundLines(fleet), expectedLines(fleet), context);
}

async function stopAll(processes: readonly Process[]): Promise<void> {
  const living = processes.filter(({ client }) => !client.isDead);
  for (const { stop } of living) stop();
  await Promise.all(living.map(({ done }) => done));
}

/** Resolves when all is judged; those that died by then are taken out of the group. */
async function untilDone(fleet: Fleet, processes: Process[], context: string): Promise<void> {
  const [first] = processes;
  await untilTrue(context, () => isDone(fleet) || first.client.isDead);
  if (!first.client.isDead) return;
  await fleet.group.expire(first.client);
  if (processes.length === 1) processes.push(startProcess(fleet));
  await untilTrue(`${context}, after its death`, () => isDone(fleet));
}

type Undisturbed = { readonly fleet: Fleet; readonly operations: readonly string[] };

let undisturbed: Promise<Undisturbed> | null = null;

/** One process that nothing disturbs, and its steps by their operations; run for the first asker. */
function undisturbedRun(): Promise<Undisturbed> {
  return undisturbed ??= runUndisturbed();
}

async function runUndisturbed(): Promise<Undisturbed> {
  const fleet = filledFleet(SHAPE);
  const operations: string[] = [];
  const faultAt = (_: number, operation: string) => {
    operations.push(operation);
    return null;
  };
  const process = startProcess(fleet, { faultAt });
  await untilTrue("all is judged", () => isDone(fleet));
  await stopAll([process]);
  return { fleet, operations };
}

Deno.test("run() of one process judges every record and commits it", async () => {
  const { fleet, operations } = await undisturbedRun();
  await assertAsExpected(fleet, "one process");
  for (const partition of [0, 1]) {
    const ledger = committedTask(fleet, partition)!.ledger;
    assert.ok(ledger.raw > 80);
    const { entries } = fleet.log.committed({ topic: TOPICS.changelog, partition }, 0);
    const keys = entries.map(({ key }) => new TextDecoder().decode(key!));
    assert.ok(keys.includes("snapshot-0"), "no snapshot in the changelog");
    assert.equal(DISPOSITIONS.reduce((sum, name) => sum + ledger[name], 0), ledger.raw);
  }
  assert.ok(
    ["open", "write", "offset", "end", "list", "read"].every((o) => operations.includes(o)),
  );
  assert.ok(operations.length > 100);
});

Deno.test("run() turns no reading too late by a record that claims to have arrived in 2099", async () => {
  const fleet = emptyFleet(1);
  const beganMs = Date.UTC(2024, 0, 1);
  const texts = Array.from({ length: 40 }, (_, r) => {
    const timeMs = beganMs + r * 30 * 60_000;
    const at = new Date(timeMs).toISOString();
    return { timeMs, text: `{"meter_id":"M1","timestamp":"${at}","consumption_kwh":1}` };
  });
  const at = "2099-01-01T00:00:00Z";
  const text = `{"meter_id":"M1","timestamp":"${at}","consumption_kwh":1,"received_at":"${at}"}`;
  appendRaw(fleet, 0, texts.toSpliced(9, 0, { timeMs: beganMs, text }));
  const process = startProcess(fleet);
  await untilTrue("all is judged", () => isDone(fleet));
  await stopAll([process]);
  const { raw, ok, rejected } = committedTask(fleet, 0)!.ledger;
  assert.deepEqual({ raw, ok, rejected }, { raw: 41, ok: 40, rejected: 1 });
  await assertAsExpected(fleet, "one from 2099");
});

for (const kind of STEP_FAULTS) {
  Deno.test(`run() ends with the same outputs whichever step fails: ${kind}`, async () => {
    const { operations } = await undisturbedRun();
    for (let at = 0; at < operations.length; at++) {
      // A reader waits out its own troubles, and a death between two reads is like the one before.
      if (operations[at] === "read" && (!kind.startsWith("dies") || at % 4 > 0)) continue;
      const fleet = filledFleet(SHAPE);
      const context = `fault ${kind} at step ${at} (${operations[at]}), seed ${SEED}`;
      const processes = [startProcess(fleet, { faultAt: (step) => step === at ? kind : null })];
      await untilDone(fleet, processes, context);
      await stopAll(processes);
      await assertAsExpected(fleet, context);
    }
  });
}

Deno.test("run() ends with the same outputs when its restore after a fault fails, too", async () => {
  const { operations } = await undisturbedRun();
  for (const first of operations.flatMap((o, at) => o === "end" ? [at] : []).slice(0, 6)) {
    for (let after = 1; after <= 8; after++) {
      const fleet = filledFleet(SHAPE);
      const context = `faults at steps ${first} and ${first + after}, seed ${SEED}`;
      const kinds = [STEP_FAULTS[after % 2], STEP_FAULTS[after % 5]];
      const faultAt = (step: number) =>
        step === first ? kinds[0] : step === first + after ? kinds[1] : null;
      const processes = [startProcess(fleet, { faultAt })];
      await untilDone(fleet, processes, context);
      await stopAll(processes);
      await assertAsExpected(fleet, context);
    }
  }
});

Deno.test("a process stopped at any step and waked after another took over changes nothing", async () => {
  const { operations } = await undisturbedRun();
  for (let at = 1; at < operations.length; at += operations[at] === "read" ? 3 : 1) {
    const fleet = filledFleet(SHAPE);
    const context = `stopped at step ${at} (${operations[at]}), seed ${SEED}`;
    let frozen = false;
    const zombie: Process = startProcess(fleet, {
      faultAt: (step) => {
        if (step !== at) return null;
        zombie.client.freeze();
        frozen = true;
        return null;
      },
    });
    await untilTrue(context, () => frozen || isDone(fleet));
    const owner = startProcess(fleet);
    await fleet.group.expire(zombie.client);
    // Now the new owner is done before the zombie wakes, now in the middle of its work.
    await untilTrue(context, () => isDone(fleet) || (at % 2 === 0 && owner.client.steps > 60));
    zombie.client.thaw();
    // It learns by its next heartbeat that it is out: at once, or some steps later.
    const { steps } = zombie.client;
    await untilTrue(context, () => zombie.client.steps >= steps + 10 * (at % 3));
    await fleet.group.learn(zombie.client);
    await untilTrue(context, () => isDone(fleet));
    await stopAll([zombie, owner]);
    await assertAsExpected(fleet, context);
  }
});

Deno.test("a partition whose owner a zombie has fenced goes on", async () => {
  const fleet = filledFleet(SHAPE);
  const owner = startProcess(fleet);
  await untilTrue("it has begun", () => (committedTask(fleet, 0)?.nextOffset ?? 0) > 20);
  for (const partition of [0, 1]) fleet.log.takeOver(`workers-${partition}`);
  await untilTrue("all is judged", () => isDone(fleet));
  const stopped = owner.events.filter(({ event }) => event === "partition_stopped");
  assert.deepEqual(stopped, []);
  await stopAll([owner]);
  await assertAsExpected(fleet, "fenced in the middle");
});

Deno.test("run() hands partitions over in the middle of a commit, whichever step it is at", async () => {
  const { operations } = await undisturbedRun();
  for (let at = 1; at < operations.length; at += operations[at] === "read" ? 3 : 1) {
    const fleet = filledFleet(SHAPE);
    const context = `another joins at step ${at} (${operations[at]}), seed ${SEED}`;
    const processes: Process[] = [];
    processes.push(startProcess(fleet, {
      faultAt: (step) => {
        if (step === at) processes.push(startProcess(fleet));
        return null;
      },
    }));
    await untilTrue(context, () => processes.length === 2);
    await untilTrue(context, () => isDone(fleet));
    await stopAll(processes);
    await assertAsExpected(fleet, context);
    const [one, other] = processes;
    const failed = [...one.events, ...other.events].filter(({ level }) => level !== "info");
    assert.deepEqual(failed, [], context);
  }
});

Deno.test("a process told to stop commits what it has folded, and the next goes on from there", async () => {
  for (const at of [10, 30, 50, 70]) {
    const fleet = filledFleet(SHAPE);
    const process = startProcess(fleet);
    await untilTrue("it is at work", () => process.client.steps >= at);
    const folded = process.worker.status().map(({ nextOffset }) => nextOffset);
    process.stop();
    await process.done;
    const committed = folded.map((_, p) => committedTask(fleet, p)?.nextOffset ?? 0);
    for (const [p, nextOffset] of folded.entries()) assert.ok(committed[p] >= nextOffset);
    assert.equal(fleet.log.openTransactions, 0);
    assert.deepEqual(process.worker.status(), []);
    const next = startProcess(fleet);
    await untilTrue("all is judged", () => isDone(fleet));
    await stopAll([next]);
    await assertAsExpected(fleet, `stopped after ${at} steps`);
  }
});

Deno.test("run() begins at the log's start where older records were deleted before anyone read them", async () => {
  const fleet = filledFleet(SHAPE);
  fleet.log.deleteBefore({ topic: TOPICS.raw, partition: 0 }, 40);
  const process = startProcess(fleet);
  await untilTrue("all is judged", () => isDone(fleet));
  const said = process.events.find(({ event }) => event === "raw_records_deleted_unread");
  assert.deepEqual(said, {
    level: "info",
    event: "raw_records_deleted_unread",
    fields: { partition: 0, from_offset: 0, to_offset: 40 },
  });
  await stopAll([process]);
  assertSameAnswer(await foundLines(fleet), expectedLines(fleet), "from offset 40 on");
});

Deno.test("run() says as an error that records were deleted while it was behind, and goes on", async () => {
  const fleet = filledFleet(SHAPE);
  const first = startProcess(fleet);
  await untilTrue("it has begun", () => (committedTask(fleet, 0)?.nextOffset ?? 0) > 0);
  await stopAll([first]);
  fleet.log.deleteBefore({ topic: TOPICS.raw, partition: 0 }, 100);
  const second = startProcess(fleet);
  await untilTrue("all is judged", () => isDone(fleet));
  const said = second.events.find(({ event }) => event === "raw_records_deleted_unread");
  assert.equal(said?.level, "error");
  await stopAll([second]);
});

Deno.test("run() says each try of a partition whose log does not answer, and goes on", async () => {
  const fleet = filledFleet(SHAPE);
  let opens = 0;
  const faultAt = (_: number, operation: string) =>
    operation === "open" && opens++ < 6 ? "before" as const : null;
  const process = startProcess(fleet, { faultAt });
  await untilTrue("all is judged", () => isDone(fleet));
  const failed = process.events.filter(({ event }) => event === "partition_failed");
  for (const partition of [0, 1]) {
    const own = failed.filter(({ fields }) => fields.partition === partition);
    assert.deepEqual(own.map(({ level }) => level), ["warn", "warn", "warn"]);
    assert.deepEqual(own.map(({ fields }) => fields.retry_ms), [100, 200, 400]);
  }
  await stopAll([process]);
  await assertAsExpected(fleet, "opened at the fourth try");
});

const STALLED_MS = 45_000;

/** Lets time go on in steps of ten seconds, each with turns for the process, and looks after each. */
async function pass({ clock }: Fleet, ms: number, look: () => void): Promise<void> {
  for (const endMs = clock.nowMs() + ms; clock.nowMs() < endMs;) {
    clock.advance(10_000);
    const turnMs = clock.nowMs() + 100; // time goes on as the process reads, and finds nothing
    await untilTrue("it has read", () => clock.nowMs() >= turnMs);
    look();
  }
}

const stuckOf = ({ worker }: Process, { clock }: Fleet) =>
  worker.status().filter((one) => isStuck(one, STALLED_MS, clock.nowMs()));

Deno.test("Worker.status() is never stuck in an hour of quiet, nor with the record after it", async () => {
  const fleet = filledFleet(SHAPE);
  const process = startProcess(fleet);
  await untilTrue("all is judged", () => isDone(fleet));
  await pass(fleet, 3_600_000, () => assert.deepEqual(stuckOf(process, fleet), []));
  appendRaw(fleet, 0, [{ text: "{}", timeMs: fleet.clock.nowMs() }]);
  assert.deepEqual(stuckOf(process, fleet), []);
  await untilTrue("it is judged", () => isDone(fleet));
  await stopAll([process]);
});

Deno.test("Worker.status() is stuck while restores come no further, however often they begin", async () => {
  const fleet = filledFleet(SHAPE);
  const first = startProcess(fleet);
  await untilTrue("all is judged", () => isDone(fleet));
  await stopAll([first]);
  let lists = 0;
  // Both partitions read their changelog through once, and no restore comes as far again.
  const faultAt = (_: number, operation: string) =>
    operation === "list" && lists++ >= 4 ? "before" as const : null;
  const process = startProcess(fleet, { faultAt });
  await untilTrue("it has failed", () => process.worker.status().some((p) => p.failures > 0));
  await pass(fleet, 120_000, () => {});
  for (const { state, failures, lastFailure, commits } of process.worker.status()) {
    assert.notEqual(state, "running");
    assert.ok(failures > 3 && commits === 0 && lastFailure !== null, `${failures} failures`);
  }
  assert.equal(stuckOf(process, fleet).length, 2);
  await stopAll([process]);
});

/** What breaks an invariant of partition 1 alone. */
const BREAKS: Record<string, { break: (fleet: Fleet) => Fleet; error: RegExp; hint: boolean }> = {
  "its state cannot be read": {
    break: (fleet) => {
      const key = new TextEncoder().encode("task");
      fleet.log.put({ topic: TOPICS.changelog, partition: 1 }, { key, value: Uint8Array.of(200) });
      return fleet;
    },
    ...{ error: /^state of version 200 cannot be read/, hint: false },
  },
  "the program fails in the middle of its records": {
    break: (fleet) => {
      let asked = 0;
      const intervals = new Map<string, number>();
      intervals.get = () => {
        if (++asked > 2) throw new TypeError("a fault of ours");
        return undefined;
      };
      const options = (partition: number) => ({
        ...fleet.options(partition),
        ...(partition === 1 ? { intervalMsByMeter: intervals } : {}),
      });
      return { ...fleet, options };
    },
    ...{ error: /^a fault of ours$/, hint: false },
  },
  "its raw topic was made anew": {
    break: (fleet) => {
      const key = new TextEncoder().encode("task");
      const { state } = new Processor(fleet.options(1));
      const value = encodeTask({ state: { ...state, nextOffset: 10_000 }, watermarkMs: null });
      fleet.log.put({ topic: TOPICS.changelog, partition: 1 }, { key, value });
      return fleet;
    },
    ...{ error: /^t_raw\/1 is judged further than it goes$/, hint: true },
  },
};

for (const [name, { break: breakIt, error, hint }] of Object.entries(BREAKS)) {
  Deno.test(`run() stops a partition when ${name}, loudly, and the other goes on`, async () => {
    const fleet = breakIt(filledFleet(SHAPE));
    const process = startProcess(fleet);
    const end = fleet.log.committed({ topic: TOPICS.raw, partition: 0 }, 0).entries.at(-1)!.offset;
    await untilTrue(
      "partition 0 is judged",
      () =>
        committedTask(fleet, 0)?.nextOffset === end + 1 &&
        process.events.some(({ level }) => level === "error"),
    );
    fleet.clock.advance(3_600_000);
    await untilTrue("time goes on", () => process.client.steps > 200);
    const states = process.worker.status().map(({ partition, state }) => [partition, state]);
    assert.deepEqual(states.sort(), [[0, "running"], [1, "stopped"]]);
    const loud = process.events.filter(({ level }) => level !== "info");
    assert.equal(loud.length, 1, "it is said once, and not tried again");
    const [{ level, event, fields }] = loud;
    assert.deepEqual([level, event], ["error", "partition_stopped"]);
    assert.deepEqual([fields.partition, fields.why], [1, "broken"]);
    assert.match(String(fields.error), error);
    assert.equal("hint" in fields, hint);
    await stopAll([process]);
    assert.deepEqual(process.worker.status(), []);
    assert.equal(fleet.log.openTransactions, 0);
  });
}

/** Seeds of the swarm that failed once, and some that never did. */
const SWARM_SEEDS = Array.from({ length: 60 }, (_, i) => 100 + i);

Deno.test("processes that fail, die, freeze and join at random leave the same outputs", async () => {
  for (const seed of SWARM_SEEDS) await swarm(seed);
});

async function swarm(seed: number): Promise<void> {
  const random = createRandom(seed);
  const fleet = filledFleet({ seed, partitions: 3, records: 240 });
  const context = `swarm seed ${seed}`;
  let isHealed = false;
  const faultAt = (): StepFault | null =>
    isHealed || random() > 0.02 ? null : STEP_FAULTS[randomInteger(random, 0, 3)];
  const turns = () => randomInteger(random, 0, 4);
  const start = () => startProcess(fleet, { faultAt, turns });
  const processes = [start(), start()];
  for (let round = 0; round < 12; round++) {
    const at = processes.reduce((sum, { client }) => sum + client.steps, 0);
    const pauseSteps = randomInteger(random, 5, 60);
    await untilTrue(
      context,
      () =>
        processes.reduce((sum, { client }) => sum + client.steps, 0) > at + pauseSteps ||
        processes.every(({ client }) => client.isDead || client.isFrozen),
    );
    const dead = processes.filter(({ client }) => client.isDead);
    for (const { client } of dead) await fleet.group.expire(client);
    if (processes.length - dead.length < 3) processes.push(start());
    await disturb(fleet, processes[randomInteger(random, 0, processes.length - 1)], random);
  }
  isHealed = true;
  processes.push(start());
  for (const { client } of processes) {
    client.thaw();
    if (client.isDead) await fleet.group.expire(client);
    else await fleet.group.learn(client);
  }
  await untilTrue(context, () => isDone(fleet));
  await stopAll(processes);
  await assertAsExpected(fleet, context);
}

/** Stands still, is taken for dead, or wakes; a partition may be compacted meanwhile. */
async function disturb(fleet: Fleet, { client }: Process, random: Random): Promise<void> {
  if (client.isDead) return;
  switch (randomInteger(random, 0, 4)) {
    case 0:
      client.freeze();
      return await fleet.group.expire(client);
    case 1:
      return await fleet.group.expire(client);
    case 2:
      client.thaw();
      return await fleet.group.learn(client);
    case 3:
      return client.thaw();
    default:
      for (let partition = 0; partition < 3; partition++) {
        fleet.log.compact({ topic: TOPICS.changelog, partition });
      }
  }
}
