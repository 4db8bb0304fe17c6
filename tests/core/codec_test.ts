import assert from "node:assert/strict";
import fc from "fast-check";
import { CodecError } from "../../src/core/bytes.ts";
import {
  applyChanges,
  CODEC_VERSION,
  decodeTask,
  encodeAll,
  encodeChanges,
  encodeTask,
  finishRestore,
} from "../../src/core/codec.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import type { Outputs } from "../../src/core/outputs.ts";
import { Processor } from "../../src/core/processor.ts";
import {
  optionsArbitrary,
  recordTimesArbitrary,
  streamArbitrary,
} from "../specification/arbitraries.ts";
import { coreOptions, foldRecords } from "../simulation/fold.ts";
import { DAY_MS, DEFAULTS, HOUR_MS, MINUTE_MS, ms, startHarness } from "./harness.ts";

const RUNS = Number(Deno.env.get("GRIDWATCH_TEST_RUNS") ?? 2000);

const hex = (bytes: Uint8Array) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");

/** The whole state as bytes: the task's, and each meter's in an order of its own. */
function stateBytes(processor: Processor) {
  // A part is yielded after the first meter that fills it: one meter a part.
  const meters = [...encodeAll(processor, 1)].map(hex).sort();
  return { task: hex(encodeTask(processor)), meters };
}

function restore(
  options: ProcessorOptions,
  task: Uint8Array,
  changelog: readonly Uint8Array[],
): Processor {
  const processor = new Processor(options, decodeTask(task));
  for (const payload of changelog) applyChanges(payload, processor);
  finishRestore(processor);
  return processor;
}

/** What every payload of meters begins with, where no rule remembers anything. */
const HEAD = Uint8Array.from([CODEC_VERSION, 1, 5, 0, ...new TextEncoder().encode("meter"), 3]);

/** What a store keeps of a partition, and how a commit adds to it. */
type Kept = { task: Uint8Array; changelog: Uint8Array[] };
type Way = "changes" | "snapshot" | "both in turn";

function keep(kept: Kept, processor: Processor, way: Way, commit: number): void {
  kept.task = encodeTask(processor);
  const changes = encodeChanges(processor);
  if (way === "snapshot" || (way === "both in turn" && commit % 2 === 1)) {
    kept.changelog = [...encodeAll(processor, 200)];
  } else {
    kept.changelog.push(changes);
  }
}

/** Folds the records with a commit after each of `cuts`; null: never restored. */
function run(
  options: ProcessorOptions,
  records: readonly string[],
  times: readonly (number | null)[] | null,
  cuts: readonly number[],
  way: Way | null,
) {
  let processor = new Processor(options);
  const kept: Kept = { task: encodeTask(processor), changelog: [] };
  const outputs: Outputs[] = [];
  let from = 0;
  for (const [commit, to] of [...cuts, records.length].entries()) {
    foldRecords(processor, records.slice(from, to), times?.slice(from, to) ?? null);
    from = to;
    outputs.push(processor.takeOutputs());
    if (way === null) continue;
    keep(kept, processor, way, commit);
    processor = restore(options, kept.task, kept.changelog);
    assert.deepEqual(processor.takeOutputs().gaps, [], "a restore says nothing");
    assert.equal(encodeChanges(processor).length, 0, "a restore changes nothing");
  }
  return { outputs, state: stateBytes(processor) };
}

const cases = optionsArbitrary.chain((options) =>
  streamArbitrary(options).chain((records) =>
    fc.record({
      options: fc.constant(options),
      records: fc.constant(records),
      times: recordTimesArbitrary(records),
      cuts: fc.array(fc.nat(records.length), { minLength: 1, maxLength: 4 })
        .map((cuts) => cuts.sort((a, b) => a - b)),
      way: fc.constantFrom<Way>("changes", "snapshot", "both in turn"),
    })
  )
);

Deno.test("Processor restored at any cut says the same and ends in the same state", () => {
  fc.assert(
    fc.property(cases, ({ options, records, times, cuts, way }) => {
      const uncut = run(coreOptions(options), records, times, cuts, null);
      assert.deepEqual(run(coreOptions(options), records, times, cuts, way), uncut);
    }),
    { numRuns: RUNS },
  );
});

Deno.test("Processor restored before every single record says the same", () => {
  fc.assert(
    fc.property(cases, ({ options, records, times, way }) => {
      const cuts = records.map((_, r) => r);
      const uncut = run(coreOptions(options), records, times, cuts, null);
      assert.deepEqual(run(coreOptions(options), records, times, cuts, way), uncut);
    }),
    { numRuns: RUNS / 10 },
  );
});

Deno.test("encodeAll() packs every meter once, in parts of about the size asked for", () => {
  const core = startHarness();
  for (let n = 0; n < 100; n++) core.reading(`M${n}`, "0:00");
  const meterBytes = [...encodeAll(core.processor, 1)][0].length;
  for (const [size, count] of [[1, 100], [500, 20], [1 << 20, 1]]) {
    const parts = [...encodeAll(core.processor, size)];
    for (const part of parts) assert.ok(part.length < size + meterBytes + 2);
    assert.equal(parts.length, count, String(size));
    assert.equal(restore(DEFAULTS, encodeTask(core.processor), parts).meters.count, 100);
  }
});

Deno.test("encodeAll() packs no meters into a payload of their absence, which a snapshot needs", () => {
  const [payload, ...more] = [...encodeAll(new Processor(DEFAULTS), 500)];
  assert.deepEqual([payload, more], [HEAD, []]);
  const { task } = everyKind();
  assert.equal(restore(DEFAULTS, task, [payload]).meters.count, 0);
});

Deno.test("encodeChanges() packs what changed since the last call, and nothing twice", () => {
  const core = startHarness();
  core.reading("M1", "0:00");
  core.reading("M2", "0:00");
  const both = encodeChanges(core.processor);
  assert.equal(encodeChanges(core.processor).length, 0);
  core.reading("M2", "0:00");
  core.reading("M3", "-9:00");
  core.record("junk");
  core.tick("0:01");
  assert.equal(encodeChanges(core.processor).length, 0, "nothing of these changes a meter");
  core.reading("M2", "0:30");
  const one = encodeChanges(core.processor);
  assert.equal(one.length - HEAD.length, (both.length - HEAD.length) / 2);
});

Deno.test("An interval that readings contradict is told once, though the last of them is not taken", () => {
  const options = { expectedIntervalMs: 10 * MINUTE_MS };
  const core = startHarness(options);
  core.reading("M1", "0:00");
  for (let minute = 5; minute <= 60; minute += 5) {
    const timestamp = new Date(ms("0:00") + minute * MINUTE_MS).toISOString();
    core.record(`{"meter_id":"M1","timestamp":"${timestamp}","consumption_kwh":null}`);
  }
  core.reading("M1", "0:55", 1);
  const before = encodeChanges(core.processor).slice();
  assert.equal(core.reading("M1", "1:00", 2), "CONFLICT");
  const toldBy = ({ metrics }: Outputs) =>
    metrics.filter(({ metricType }) => metricType === "interval_contradicted").length;
  assert.equal(toldBy(core.readOutputs()), 1);
  const changes = [before, encodeChanges(core.processor).slice()];
  const restored = restore({ ...DEFAULTS, ...options }, encodeTask(core.processor), changes);
  const next = startHarness(options, restored);
  assert.equal(next.reading("M1", "1:00", 2), "CONFLICT");
  assert.equal(toldBy(next.readOutputs()), 0);
});

/** A processor with a meter of every kind, and what is kept of it. */
function everyKind() {
  const core = startHarness({
    expectedIntervalMs: "auto",
    intervalMsByMeter: new Map(["GONE", "Ä☼", "M1"].map((id) => [id, 30 * MINUTE_MS])),
  });
  core.reading("GONE", "-160:00");
  const before = encodeChanges(core.processor);
  for (const at of ["7:00", "8:30", "10:00"]) core.reading("Ä☼", at);
  core.reading("Ä☼", "9:30", -1);
  core.reading("M1", "10:00");
  core.reading("L1", "9:30");
  core.reading("L1", "10:00");
  return {
    options: core.processor.options,
    task: encodeTask(core.processor),
    payloads: [before, encodeChanges(core.processor)],
  };
}

/** Where a payload may end: behind a whole meter. */
function recordEnds(payload: Uint8Array): number[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const ends = [];
  for (let at = HEAD.length; at < payload.length;) {
    const stateAt = at + 2 + view.getUint16(at, true);
    at = stateAt + 4 + view.getUint32(stateAt, true);
    ends.push(at);
  }
  return ends;
}

Deno.test("applyChanges() throws CodecError for bytes cut anywhere within a meter", () => {
  const { options, payloads } = everyKind();
  for (const payload of payloads) {
    const ends = recordEnds(payload);
    assert.equal(ends.at(-1), payload.length);
    assert.deepEqual(payload.subarray(0, HEAD.length), HEAD);
    for (let length = 1; length < payload.length; length++) {
      const apply = () => applyChanges(payload.subarray(0, length), new Processor(options));
      if (length === HEAD.length || ends.includes(length)) apply();
      else assert.throws(apply, CodecError, `${length} of ${payload.length} bytes`);
    }
  }
});

Deno.test("decodeTask() throws CodecError for bytes cut anywhere", () => {
  const { task } = everyKind();
  for (let length = 0; length < task.length; length++) {
    assert.throws(() => decodeTask(task.subarray(0, length)), CodecError, `${length} bytes`);
  }
});

Deno.test("The codec throws CodecError for a version it does not know, and names it", () => {
  const { options, task, payloads } = everyKind();
  for (const version of [0, CODEC_VERSION + 1, 255]) {
    const names = { name: "CodecError", message: new RegExp(`version ${version} `) };
    const of = (bytes: Uint8Array) => Uint8Array.from([version, ...bytes.subarray(1)]);
    assert.throws(() => decodeTask(of(task)), names);
    assert.throws(() => applyChanges(of(payloads[1]), new Processor(options)), names);
  }
});

Deno.test("applyChanges() throws CodecError for bytes that no meter can have written", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  const payload = encodeChanges(core.processor);
  const lengthAt = HEAD.length + 2 + "M1".length;
  const ownAt = lengthAt + 4;
  const intervalAt = ownAt + 4 + 4 + 2 * 8 + 4;
  const damages: [name: string, at: number, bytes: number[]][] = [
    ["an interval below that of months", intervalAt, [0xfe, 0xff, 0xff, 0xff]],
    ["a state longer than it says", lengthAt, [payload[lengthAt] - 8]],
    ["a state shorter than it says", lengthAt, [payload[lengthAt] + 8]],
    ["a state as long as can be", lengthAt, [0xff, 0xff, 0xff, 0xff]],
    ["a section longer than it says", ownAt, [payload[ownAt] - 8]],
    ["a section shorter than it says", ownAt, [payload[ownAt] + 8]],
    ["a section as long as can be", ownAt, [0xff, 0xff, 0xff, 0xff]],
  ];
  for (const [name, at, bytes] of damages) {
    const damaged = payload.slice();
    damaged.set(bytes, at);
    assert.throws(() => applyChanges(damaged, new Processor(DEFAULTS)), CodecError, name);
  }
});

Deno.test("applyChanges() restores every id that a record can bring as it was", () => {
  const ids = ["M1", "M\ufeff1", "M\u200b1", "Ä☼😀", "\ud7ff\ue000\uffff", "x".repeat(256)];
  const core = startHarness();
  for (const id of ids) assert.equal(core.reading(id, "10:00"), "OK");
  const mirror = new Processor(DEFAULTS);
  applyChanges(encodeChanges(core.processor), mirror);
  assert.deepEqual([...mirror.meters.indexes()].map((i) => mirror.meters.idOf(i)), ids);
});

Deno.test("The codec reads its bytes wherever they stand in a buffer", () => {
  const { options, task, payloads } = everyKind();
  const within = (bytes: Uint8Array) => {
    const buffer = new Uint8Array(bytes.length + 7).fill(0xff);
    buffer.set(bytes, 3);
    return buffer.subarray(3, 3 + bytes.length);
  };
  const plain = stateBytes(restore(options, task, payloads));
  assert.deepEqual(stateBytes(restore(options, within(task), payloads.map(within))), plain);
});

/** A meter at 0:00 to 10:00 but for 8:30 and 9:30, values 0 to 20, restored with another lateness. */
function restoredWith(beforeMs: number, afterMs: number) {
  const core = startHarness({ allowedLatenessMs: beforeMs });
  for (let slot = 0; slot <= 20; slot++) {
    if (slot !== 17 && slot !== 19) core.reading("M1", ms("0:00") + slot * 30 * MINUTE_MS, slot);
  }
  const options = { ...DEFAULTS, allowedLatenessMs: afterMs };
  const processor = restore(options, encodeTask(core.processor), [
    ...encodeAll(core.processor, 1000),
  ]);
  return startHarness({}, processor);
}

Deno.test("Processor restored with a smaller lateness judges and remembers by the new one", () => {
  const core = restoredWith(6 * HOUR_MS, HOUR_MS);
  assert.equal(core.processor.meters.ringLength(0), 4);
  assert.equal(core.reading("M1", "10:00", 20), "DUPLICATE");
  assert.equal(core.reading("M1", "9:00", 18), "DUPLICATE");
  assert.equal(core.reading("M1", "9:00", 1), "CONFLICT");
  assert.equal(core.reading("M1", "8:30", 17), "TOO_LATE 5400");
  assert.equal(core.reading("M1", "9:30", 19), "LATE 1800");
  assert.deepEqual(core.readGaps(), ["FILLED M1@9:30 9:30..9:30 0"]);
  assert.equal(core.reading("M1", "10:30", 21), "OK");
});

Deno.test("Processor restored with a larger lateness takes no slot twice", () => {
  const core = restoredWith(HOUR_MS, 6 * HOUR_MS);
  assert.equal(core.processor.meters.ringLength(0), 14);
  assert.equal(core.reading("M1", "9:00", 18), "DUPLICATE");
  assert.equal(core.reading("M1", "9:00", 1), "CONFLICT");
  assert.equal(core.reading("M1", "9:30", 19), "LATE 1800");
  // What is not remembered is never called taken, and takes nothing either.
  for (const at of ["8:00", "6:00", "4:00"]) {
    assert.match(core.reading("M1", at), /^TOO_LATE/, at);
  }
  assert.equal(core.reading("M1", "3:59:59.999"), "TOO_LATE 21600.001");
  assert.deepEqual(core.readGaps(), ["FILLED M1@9:30 9:30..9:30 0"]);
});

Deno.test("Processor restored with other options goes on, whatever they and the stream are", () => {
  const others = fc.record({
    lateness: fc.constantFrom(0, 1, 30, 60, 300, 1440),
    grace: fc.constantFrom(0, 15, 300),
    outOfOrderness: fc.constantFrom(0, 90),
    ttlDays: fc.constantFrom(1, 30),
  });
  fc.assert(
    fc.property(cases, others, ({ options, records, times, cuts: [cut] }, other) => {
      const first = new Processor(coreOptions(options));
      foldRecords(first, records.slice(0, cut), times);
      first.takeOutputs();
      const changed: ProcessorOptions = {
        ...coreOptions(options),
        allowedLatenessMs: other.lateness * MINUTE_MS,
        gapGraceMs: other.grace * MINUTE_MS,
        outOfOrdernessMs: other.outOfOrderness * MINUTE_MS,
        stateTtlMs: other.ttlDays * DAY_MS,
      };
      const second = restore(changed, encodeTask(first), [encodeChanges(first)]);
      foldRecords(second, records.slice(cut), times?.slice(cut) ?? null);
      const { raw, ...dispositions } = second.state.ledger;
      assert.equal(raw, records.length);
      assert.equal(Object.values(dispositions).reduce((sum, count) => sum + count, 0), raw);
      second.takeOutputs();
      const again = restore(changed, encodeTask(second), [...encodeAll(second, 1000)]);
      assert.deepEqual(stateBytes(again), stateBytes(second));
    }),
    { numRuns: RUNS / 2 },
  );
});

Deno.test("finishRestore() names the last record as the cause of what other options find", () => {
  const core = startHarness();
  core.reading("M1", "0:00");
  core.reading("M2", "0:40");
  const task = encodeTask(core.processor);
  const processor = restore({ ...DEFAULTS, gapGraceMs: 0 }, task, [
    ...encodeAll(core.processor, 1),
  ]);
  const { gaps } = processor.takeOutputs();
  assert.deepEqual(gaps.map((gap) => [gap.meterId, gap.offset]), [["M1", 1]]);
});
