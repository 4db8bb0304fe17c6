import assert from "node:assert/strict";
import type { WorkerEvent } from "../../../src/engine/event.ts";
import {
  type HeldPartition,
  Holdings,
  type HoldingState,
  moveTo,
  TRANSITIONS,
} from "../../../src/engine/log/holdings.ts";
import {
  type GroupHandlers,
  isTransient,
  LogError,
  type LogGroup,
  RecordTooLargeError,
} from "../../../src/engine/log/ports.ts";
import { FencedError } from "../../../src/engine/ports.ts";
import { never } from "./memory_client.ts";
import { MemoryClock } from "./memory_log.ts";

/** Lets whatever is ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

/** Holdings of a group that a test plays; `restore` says how each restore of a partition ends. */
function startHoldings(
  restore: (partition: number, signal: AbortSignal) => Promise<void> = () => Promise.resolve(),
) {
  const clock = new MemoryClock(0);
  const controller = new AbortController();
  const events: WorkerEvent[] = [];
  const calls: string[] = [];
  const members = new Set<number>();
  const holdings = new Holdings<HeldPartition>({
    begin: (held) => ({ ...held }),
    restore: async ({ partition }, signal) => {
      await restore(partition, signal);
      return () => void calls.push(`start ${partition}`);
    },
    letGo: ({ partition }) => void calls.push(`let go ${partition}`),
    close: ({ partition }) => {
      calls.push(`close ${partition}`);
      return Promise.resolve();
    },
    isTransient,
    clock,
    random: () => 1,
    signal: controller.signal,
    onEvent: (event) => void events.push(event),
  });
  let handlers: GroupHandlers | null = null;
  const group: LogGroup = {
    membership: (partition) => members.has(partition) ? { memberId: "m", generation: 1 } : null,
    partitions: [],
    failed: never(),
    leave: () => Promise.resolve(),
  };
  holdings.join((given) => {
    handlers = given;
    return group;
  });
  const assign = async (...partitions: number[]) => {
    for (const partition of partitions) members.add(partition);
    await handlers!.onAssigned(partitions);
    await settle();
  };
  const turn = async () => {
    holdings.turn(() => {});
    await settle();
  };
  const states = () => holdings.all.map(({ state }) => state);
  const retries = () => events.flatMap(({ fields }) => fields.retry_ms ?? []);
  const control = { clock, controller, events, calls, members, group: () => handlers! };
  return { holdings, assign, turn, states, retries, ...control };
}

const STATES = Object.keys(TRANSITIONS) as HoldingState[];
const LEGAL = new Set([
  ...["restoring running", "restoring failed", "restoring stopped", "restoring released"],
  ...["running failed", "running stopped", "running released"],
  ...["failed restoring", "failed released", "stopped released"],
]);

Deno.test("moveTo() makes every legal transition, and throws at every other", () => {
  for (const from of STATES) {
    for (const to of STATES) {
      const held = { partition: 4, state: from } as HeldPartition;
      if (LEGAL.has(`${from} ${to}`)) {
        moveTo(held, to);
        assert.equal(held.state, to);
      } else {
        const message = `partition 4 cannot go from ${from} to ${to}`;
        assert.throws(() => moveTo(held, to), { message });
        assert.equal(held.state, from, "it stays where it was");
      }
    }
  }
});

Deno.test("Holdings retries a trouble that may pass for as long as it takes, and says so", async () => {
  let isAway = true;
  const { assign, turn, states, retries, clock, events, calls } = startHoldings(() =>
    isAway ? Promise.reject(new LogError("no answer", { hint: "is it up?" })) : Promise.resolve()
  );
  await assign(0);
  for (let tries = 1; tries < 12; tries++) {
    assert.deepEqual(states(), ["failed"]);
    clock.advance(Number(retries().at(-1)) - 1);
    await turn();
    assert.equal(retries().length, tries, "not before its time");
    clock.advance(1);
    await turn();
    assert.equal(retries().length, tries + 1);
  }
  assert.deepEqual(retries().slice(0, 5), [100, 200, 400, 800, 1600]);
  assert.equal(retries().at(-1), 10_000);
  assert.deepEqual(events[0], {
    level: "warn",
    event: "partition_failed",
    fields: { partition: 0, error: "no answer", hint: "is it up?", retry_ms: 100 },
  });
  isAway = false;
  clock.advance(10_000);
  await turn();
  assert.deepEqual(states(), ["running"]);
  assert.equal(calls.at(-1), "start 0");
});

Deno.test("Holdings.follow() takes the patience back once a commit succeeds", async () => {
  const { holdings, assign, turn, retries, clock } = startHoldings();
  await assign(0);
  const held = holdings.get(0)!;
  for (const fails of [true, true, false, true]) {
    const commit = fails ? Promise.reject(new LogError("lost")) : Promise.resolve("done");
    holdings.follow(held, commit, (result) => assert.equal(result, "done"));
    await settle();
    assert.equal(held.pending, null);
    clock.advance(10_000);
    await turn();
  }
  assert.deepEqual(retries(), [100, 200, 100]);
});

const BROKEN: [name: string, error: unknown][] = [
  ["an error of the program", new TypeError("x is undefined")],
  ["a record that the log refuses for good", new RecordTooLargeError("2 MB")],
  ["what is no error at all", "oops"],
];
for (const [name, error] of BROKEN) {
  Deno.test(`Holdings stops a partition for ${name}, loudly, and the others go on`, async () => {
    for (const where of ["restore", "work", "commit"]) {
      const { holdings, assign, turn, states, clock, events, calls } = startHoldings((partition) =>
        partition === 1 && where === "restore" ? Promise.reject(error) : Promise.resolve()
      );
      await assign(0, 1, 2);
      const held = holdings.get(1)!;
      if (where === "commit") holdings.follow(held, Promise.reject(error), () => {});
      const worked: number[] = [];
      const work = () =>
        holdings.turn(({ partition }) => {
          if (partition === 1 && where === "work") throw error;
          worked.push(partition);
        });
      await settle();
      work();
      assert.deepEqual(states(), ["running", "stopped", "running"], where);
      assert.equal(calls.filter((call) => call === "let go 1").length, 1);
      clock.advance(3_600_000);
      await turn();
      work();
      assert.deepEqual(worked, [0, 2, 0, 2], where);
      assert.deepEqual(states(), ["running", "stopped", "running"], "it is not tried again");
      const [{ level, event, fields }, ...others] = events;
      assert.deepEqual([level, event, fields.partition, fields.why], [
        ...["error", "partition_stopped", 1, "broken"],
      ]);
      assert.equal(fields.error, error instanceof Error ? error.message : "oops");
      assert.deepEqual(others, []);
    }
  });
}

Deno.test("Holdings releases a fenced partition that is another's, without a word of error", async () => {
  const { holdings, assign, events, calls, members, states } = startHoldings();
  await assign(0, 1);
  members.delete(0);
  holdings.follow(holdings.get(0)!, Promise.reject(new FencedError("taken over")), () => {});
  await settle();
  assert.equal(holdings.get(0), null);
  assert.deepEqual(states(), ["running"]);
  assert.deepEqual(events, [
    { level: "info", event: "partition_stopped", fields: { partition: 0, why: "fenced" } },
  ]);
  assert.deepEqual(calls.slice(-2), ["let go 0", "close 0"]);
});

Deno.test("Holdings takes a fenced partition back that is still this member's", async () => {
  const { holdings, assign, turn, events, states, clock } = startHoldings();
  await assign(0);
  holdings.follow(holdings.get(0)!, Promise.reject(new FencedError("by a zombie")), () => {});
  await settle();
  assert.deepEqual([states(), events[0].level], [["failed"], "warn"]);
  clock.advance(100);
  await turn();
  assert.deepEqual(states(), ["running"]);
});

Deno.test("Holdings hears nothing of an attempt that has ended", async () => {
  const { holdings, assign, turn, events, states, clock } = startHoldings();
  await assign(0);
  const held = holdings.get(0)!;
  const { promise, reject } = Promise.withResolvers<void>();
  holdings.follow(held, promise, () => {});
  holdings.fail(held, new LogError("the records are gone"));
  clock.advance(100);
  await turn();
  assert.deepEqual(states(), ["restoring"], "it waits for the commit before");
  reject(new TypeError("of the attempt before"));
  await settle();
  assert.deepEqual(states(), ["running"]);
  assert.equal(events.length, 1);
});

Deno.test("Holdings starts nothing of a partition that was given up while it was restored", async () => {
  const restored = Promise.withResolvers<void>();
  let heard: AbortSignal | null = null;
  const { assign, calls, group, holdings } = startHoldings((_, signal) => {
    heard = signal;
    return restored.promise;
  });
  await assign(0);
  const revoked = group().onRevoked([0]);
  await settle();
  assert.equal(heard!.aborted, true);
  assert.deepEqual(holdings.all, []);
  restored.resolve();
  await revoked;
  assert.deepEqual(calls, ["let go 0", "close 0"]);
});

Deno.test("Holdings.leave() releases a partition that is stopped, too", async () => {
  const { assign, holdings, events, calls } = startHoldings(() => Promise.reject(new Error("x")));
  await assign(0);
  await holdings.leave();
  await settle();
  assert.deepEqual(holdings.all, []);
  assert.deepEqual(events.map(({ level, fields }) => [level, fields.why]), [
    ["error", "broken"],
    ["info", "ended"],
  ]);
  assert.equal(calls.at(-1), "close 0");
});
