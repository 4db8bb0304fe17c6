/**
 * A partition's state as version 1 of the codec wrote it, frozen: a partition that is restored from
 * it goes on as the one that wrote it would, by the rules of today. These bytes are never written
 * anew; what is said afterwards is, where the contract changes it, once each difference is explained.
 */
import assert from "node:assert/strict";
import {
  applyChanges,
  decodeTask,
  encodeAll,
  encodeTask,
  finishRestore,
} from "../../src/core/codec.ts";
import { heldReadings } from "../../src/core/held.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import { Processor } from "../../src/core/processor.ts";
import { DAY_MS, DEFAULTS, HOUR_MS, MINUTE_MS } from "../core/harness.ts";
import { messageLines, positionLine } from "./golden.ts";
import { rawOf } from "../simulation/fold.ts";

type FrozenState = {
  /** The partition's own state, in hexadecimal digits. */
  readonly task: string;
  /** The changelog: two parts of a snapshot, and what changed since. */
  readonly changelog: readonly string[];
  /** What came afterwards, with the time of the log. */
  readonly records: readonly (readonly [text: string, recordTimeMs: number])[];
  /** What the partition says of it, a message a line. */
  readonly said: Readonly<Record<string, readonly string[]>>;
  readonly position: string;
};

const HALF_HOUR_MS = 30 * MINUTE_MS;

/** The options that the state was judged by. */
const OPTIONS: ProcessorOptions = {
  ...DEFAULTS,
  outOfOrdernessMs: 10 * MINUTE_MS,
  allowedLatenessMs: 2 * HOUR_MS,
  stateTtlMs: DAY_MS,
  expectedIntervalMs: "auto",
  learningReadings: 4,
  intervalMsByMeter: new Map(
    ["HOLES", "TAIL", "MARKS", "Ä ☼", "GONE"].map((id) => [id, HALF_HOUR_MS]),
  ),
  negative: "flag",
};

const V1: FrozenState = JSON.parse(
  await Deno.readTextFile(new URL("./state/v1.json", import.meta.url)),
);

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

function restore(task: Uint8Array, changelog: Iterable<Uint8Array>): Processor {
  const processor = new Processor(OPTIONS, decodeTask(task));
  for (const payload of changelog) applyChanges(payload, processor);
  finishRestore(processor);
  return processor;
}

/** Folds what came afterwards, and requires that the partition says what it said then. */
function assertGoesOn(processor: Processor, { records, said, position }: FrozenState): void {
  for (const [text, recordTimeMs] of records) {
    processor.record(rawOf(text, processor.state.nextOffset, recordTimeMs));
  }
  const lines = messageLines(processor.takeOutputs(), OPTIONS.partition);
  for (const [kind, text] of Object.entries(lines)) {
    // Rules say what they find since; the version that the state is of did not.
    if (kind === "validation") assert.match(text, /^(\{"meter_id":"Ä ☼","rule":"NEGATIVE".*\n)?$/);
    else assert.deepEqual(text.split("\n").slice(0, -1), said[kind], kind);
  }
  assert.equal(positionLine({ ...processor.state, watermarkMs: processor.watermarkMs }), position);
}

Deno.test("the frozen state of version 1 has a meter of every kind in it", () => {
  const { meters, state } = restore(fromHex(V1.task), V1.changelog.map(fromHex));
  assert.ok(meters.holes.get(meters.find("HOLES"))!.length >= 2);
  assert.ok(meters.marks.get(meters.find("MARKS"))!.length >= 2);
  assert.ok(meters.openSent[meters.find("TAIL")] > 1);
  assert.equal(heldReadings(meters, meters.find("LEARNS")).length, 2 * 3);
  assert.equal(meters.intervalMs[meters.find("LEARNT")], 15 * MINUTE_MS);
  assert.notEqual(meters.find("Ä ☼"), -1);
  assert.equal(meters.find("GONE"), -1, "it has expired");
  assert.equal(state.replaying, true);
});

Deno.test("a partition restored from the frozen state of version 1 goes on as if it had not stopped", () => {
  assertGoesOn(restore(fromHex(V1.task), V1.changelog.map(fromHex)), V1);
});

Deno.test("a frozen state that is written anew and restored again goes on the same", () => {
  const first = restore(fromHex(V1.task), V1.changelog.map(fromHex));
  assertGoesOn(restore(encodeTask(first), encodeAll(first, 300)), V1);
});
