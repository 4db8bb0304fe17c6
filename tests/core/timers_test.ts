import assert from "node:assert/strict";
import fc from "fast-check";
import { grown, Timers } from "../../src/core/timers.ts";

const CAPACITY = 12;

/** Times that meet in buckets of a second, at their edges, and far apart. */
const timeMs = fc.oneof(
  fc.integer({ min: -5000, max: 20_000 }),
  fc.integer({ min: -5, max: 20 }).map((s) => s * 1000),
  fc.tuple(fc.integer({ min: 0, max: 20 }), fc.constantFrom(-1, 1)).map(([s, ms]) => s * 1000 + ms),
  fc.integer({ min: 0, max: 50 }).map((days) => days * 86_400_000),
  fc.constantFrom(-30_610_224_000_000, 253_402_300_799_999),
);
const timer = fc.nat(CAPACITY - 1);
type Command =
  | { kind: "set"; i: number; atMs: number }
  | { kind: "clear"; i: number }
  | { kind: "take"; atMs: number };
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("set" as const), i: timer, atMs: timeMs }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("clear" as const), i: timer }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("take" as const), atMs: timeMs }) },
);

/** The timers due at a clock, taken out of the naive model. */
function takeFrom(model: Map<number, number>, clockMs: number): number[] {
  const due = [...model].filter(([_, dueMs]) => dueMs <= clockMs).map(([i]) => i);
  for (const i of due) model.delete(i);
  return due.sort((a, b) => a - b);
}

/** Applies one command to both; what is due must be the same. */
function play(timers: Timers, model: Map<number, number>, step: Command): void {
  switch (step.kind) {
    case "set":
      timers.set(step.i, step.atMs);
      model.set(step.i, step.atMs);
      return;
    case "clear":
      timers.clear(step.i);
      model.delete(step.i);
      return;
    case "take": {
      const mayBeDue = timers.mayBeDue(step.atMs);
      const expected = takeFrom(model, step.atMs);
      assert.ok(mayBeDue || expected.length === 0, "mayBeDue() missed one");
      const due: number[] = [];
      timers.take(step.atMs, due);
      assert.deepEqual(due.sort((a, b) => a - b), expected);
      return;
    }
    default:
      step satisfies never;
  }
}

Deno.test("Timers.take() takes exactly what a plain list of timers would, whatever came before", () => {
  fc.assert(
    fc.property(fc.array(command, { minLength: 1, maxLength: 80, size: "max" }), (commands) => {
      const timers = new Timers(CAPACITY);
      const model = new Map<number, number>();
      for (const step of commands) play(timers, model, step);
      play(timers, model, { kind: "take", atMs: Number.MAX_SAFE_INTEGER });
      assert.equal(model.size, 0);
      assert.equal(timers.mayBeDue(Number.MAX_SAFE_INTEGER), false, "nothing is left");
    }),
    { numRuns: 3000 },
  );
});

Deno.test("Timers.take() takes nothing before the moment, and everything on it", () => {
  for (const dueMs of [-1000, -1, 0, 1, 999, 1000, 1001, 86_400_000]) {
    const timers = new Timers(1);
    const due: number[] = [];
    timers.set(0, dueMs);
    timers.take(dueMs - 1, due);
    assert.deepEqual(due, [], String(dueMs));
    timers.take(dueMs, due);
    assert.deepEqual(due, [0], String(dueMs));
    timers.take(dueMs, due);
    assert.deepEqual(due, [0], "once");
  }
});

Deno.test("Timers.take() finds a timer that was put off again and again without being moved", () => {
  const timers = new Timers(2);
  timers.set(1, 500_000);
  for (let atMs = 0; atMs <= 1_000_000; atMs += 1000) {
    timers.set(0, atMs + 1500);
    const due: number[] = [];
    timers.take(atMs, due);
    assert.deepEqual(due, atMs === 500_000 ? [1] : [], String(atMs));
  }
  const due: number[] = [];
  timers.take(1_001_500, due);
  assert.deepEqual(due, [0]);
});

Deno.test("Timers.grow() keeps every timer and makes room for more", () => {
  const timers = new Timers(4);
  for (let i = 0; i < 4; i++) timers.set(i, i * 700);
  timers.grow(8);
  for (let i = 4; i < 8; i++) timers.set(i, i * 700);
  for (let i = 0; i < 8; i++) {
    const due: number[] = [];
    timers.take(i * 700, due);
    assert.deepEqual(due, [i]);
  }
});

Deno.test("Timers.take() does not visit every second of a year without timers", () => {
  const timers = new Timers(2);
  const due: number[] = [];
  const yearMs = 365 * 86_400_000;
  for (let year = 0; year < 8000; year++) {
    timers.set(0, year * yearMs);
    timers.set(1, year * yearMs + yearMs / 2);
    timers.take((year + 1) * yearMs, due);
  }
  assert.equal(due.length, 16_000);
});

Deno.test("grown() keeps the entries and the type of an array", () => {
  for (
    const array of [new Float64Array([1.5, NaN]), new Int32Array([-1, 2]), new Uint8Array([1])]
  ) {
    const larger = grown<Float64Array | Int32Array | Uint8Array>(array, 5);
    assert.equal(larger.constructor, array.constructor);
    assert.deepEqual([...larger], [...array, ...new Array(5 - array.length).fill(0)]);
  }
});
