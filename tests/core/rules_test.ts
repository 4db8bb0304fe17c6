import assert from "node:assert/strict";
import fc from "fast-check";
import { CodecError } from "../../src/core/bytes.ts";
import {
  applyChanges,
  decodeTask,
  encodeAll,
  encodeChanges,
  encodeTask,
  finishRestore,
} from "../../src/core/codec.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import { Processor } from "../../src/core/processor.ts";
import type { Rule } from "../../src/core/rules/rule.ts";
import { optionsArbitrary, streamArbitrary } from "../specification/arbitraries.ts";
import { coreOptions, foldRecords } from "../simulation/fold.ts";
import { DAY_MS, DEFAULTS, PLAIN_RULES, startHarness } from "./harness.ts";

type Run = { value: number; length: number };

/** A rule that remembers: the third equal value in a row, and every one after it. */
const sameThrice: Rule<Run> = {
  name: "SAME_THRICE",
  fails({ consumptionKwh }, _placing, _options, run) {
    run.length = consumptionKwh === run.value ? run.length + 1 : 1;
    run.value = consumptionKwh;
    return run.length >= 3;
  },
  memory: {
    version: 2,
    begin: () => ({ value: NaN, length: 0 }),
    write(writer, { value, length }) {
      writer.f64(value);
      writer.u32(length);
    },
    /** Version 1 kept the value alone. */
    read: (reader, version) => ({
      value: reader.f64(),
      length: version === 1 ? 1 : reader.u32(),
    }),
  },
};

/** Its first version, which wrote another section. */
const firstVersion: Rule<Run> = {
  ...sameThrice,
  memory: { ...sameThrice.memory!, version: 1, write: (writer, { value }) => writer.f64(value) },
};

/** A second one that remembers, so that memories are told apart. */
const everyOther: Rule<{ odd: boolean }> = {
  name: "EVERY_OTHER",
  fails: (_reading, _placing, _options, turn) => !(turn.odd = !turn.odd),
  memory: {
    version: 1,
    begin: () => ({ odd: false }),
    write: (writer, { odd }) => writer.u8(odd ? 1 : 0),
    read: (reader) => ({ odd: reader.u8() === 1 }),
  },
};

const rules: readonly Rule[] = [...PLAIN_RULES, everyOther, sameThrice];

function restore(options: ProcessorOptions, task: Uint8Array, changelog: readonly Uint8Array[]) {
  const processor = new Processor(options, decodeTask(task));
  for (const payload of changelog) applyChanges(payload, processor);
  finishRestore(processor);
  return processor;
}

/** The processor as whoever finds its state goes on, perhaps by other rules. */
function reopened(from: Processor, changes: Partial<ProcessorOptions> = {}): Processor {
  const options = { ...from.options, ...changes };
  return restore(options, encodeTask(from), [...encodeAll(from, 100)]);
}

Deno.test("Processor flags a reading with every rule that it fails, in the order of the rules", () => {
  const core = startHarness({ negative: "flag", rules: [sameThrice, everyOther, ...PLAIN_RULES] });
  assert.equal(core.reading("M1", "10:00", -1), "OK NEGATIVE");
  assert.equal(core.reading("M1", "10:30", -1), "OK EVERY_OTHER NEGATIVE");
  assert.equal(core.reading("M1", "11:05", -1), "OK SAME_THRICE NEGATIVE TIME_SHIFT");
  assert.equal(core.reading("M1", "11:35", -1), "OK SAME_THRICE EVERY_OTHER NEGATIVE");
  assert.equal(core.reading("M1", "12:05", 0), "OK");
});

Deno.test("Processor judges by no rule where none is wanted", () => {
  const core = startHarness({ negative: "flag", rules: [] });
  assert.equal(core.reading("M1", "10:00", -1), "OK");
  assert.equal(core.reading("M1", "10:40", -1), "OK");
});

Deno.test("a rule that is off by the options judges nothing and keeps nothing", () => {
  const core = startHarness({ rules: [{ ...sameThrice, isOn: () => false }, everyOther] });
  assert.equal(core.reading("M1", "10:00", 1), "OK");
  assert.equal(core.reading("M1", "10:30", 1), "OK EVERY_OTHER");
  assert.equal(core.reading("M1", "11:00", 1), "OK");
  const again = startHarness({}, reopened(core.processor, { rules: [everyOther] }));
  assert.equal(again.reading("M1", "11:30", 1), "OK EVERY_OTHER");
});

Deno.test("a rule remembers each meter by itself, and sees accepted readings alone", () => {
  const core = startHarness({ rules: [sameThrice] });
  const say = (meter: string, at: string, kwh: number | string) => core.reading(meter, at, kwh);
  assert.deepEqual([say("A", "10:00", 1), say("B", "10:00", 1), say("A", "10:30", 1)], [
    ...["OK", "OK", "OK"],
  ]);
  assert.equal(say("A", "10:30", 1), "DUPLICATE");
  assert.equal(say("A", "11:00", "null"), "BAD_VALUE");
  assert.equal(say("B", "10:30", 1), "OK");
  assert.equal(say("A", "8:00", 1), "TOO_LATE 9000");
  assert.equal(say("A", "11:00", 1), "OK SAME_THRICE");
  assert.equal(say("B", "11:00", 2), "OK");
});

Deno.test("a rule forgets a meter whose history has ended, whoever gets its place", () => {
  const core = startHarness({ rules: [sameThrice], stateTtlMs: DAY_MS, forgetAfterMs: DAY_MS });
  for (const at of ["0:00", "0:30"]) core.reading("M1", at, 1);
  core.tick("25:00");
  assert.equal(core.processor.meters.memories.size, 0);
  assert.equal(core.reading("M1", "25:00", 1), "OK");
  assert.equal(core.processor.meters.memories.size, 1);
});

const cases = optionsArbitrary.chain((options) =>
  streamArbitrary(options).map((records) => ({
    options: { ...coreOptions(options), rules },
    records,
  }))
);

Deno.test("a rule with a memory says the same when restored before every record", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(cases, fc.boolean(), ({ options, records }, isWhole) => {
      const uncut = new Processor(options);
      let processor = new Processor(options);
      const changelog: Uint8Array[] = [];
      for (const record of records) {
        foldRecords(uncut, [record]);
        foldRecords(processor, [record]);
        const { validated } = uncut.takeOutputs();
        assert.deepEqual(processor.takeOutputs().validated, validated);
        validated.flatMap(({ flags }) => flags).forEach((flag) => seen.add(flag));
        const changes = encodeChanges(processor);
        if (isWhole) changelog.splice(0, Infinity, ...encodeAll(processor, 200));
        else changelog.push(changes);
        processor = restore(options, encodeTask(processor), changelog);
      }
      assert.deepEqual(processor.meters.memories.size, processor.meters.count);
    }),
    { numRuns: 300 },
  );
  const flags = ["EVERY_OTHER", "NEGATIVE", "REVISES", "SAME_THRICE", "TIME_SHIFT"];
  assert.deepEqual([...seen].sort(), flags);
});

Deno.test("a state from before a rule restores, and the rule begins with the next reading", () => {
  const before = startHarness();
  for (const at of ["10:00", "10:30"]) before.reading("M1", at, 1);
  const core = startHarness({}, reopened(before.processor, { rules }));
  assert.equal(core.reading("M1", "11:00", 1), "OK");
  assert.equal(core.reading("M1", "11:30", 1), "OK EVERY_OTHER");
  assert.equal(core.reading("M1", "12:00", 1), "OK SAME_THRICE");
});

Deno.test("a rule reads what its older version remembered, whatever its place among the rules", () => {
  const before = startHarness({ rules: [firstVersion, everyOther] });
  before.reading("M1", "10:00", 1);
  const core = startHarness({}, reopened(before.processor, { rules }));
  assert.equal(core.reading("M1", "10:30", 1), "OK EVERY_OTHER");
  assert.equal(core.reading("M1", "11:00", 1), "OK SAME_THRICE");
});

Deno.test("applyChanges() refuses a section that nothing reads, or that a newer version wrote", () => {
  const core = startHarness({ rules });
  core.reading("M1", "10:00", 1);
  const refused: [readonly Rule[], string][] = [
    [
      PLAIN_RULES,
      'the state has a section "EVERY_OTHER" of version 1, which nothing here reads: ' +
      "a newer version wrote it, or its rule is off",
    ],
    [
      [everyOther, { ...sameThrice, memory: undefined }],
      'the state has a section "SAME_THRICE" of version 2, which nothing here reads: ' +
      "a newer version wrote it, or its rule is off",
    ],
    [
      [firstVersion, everyOther],
      'section "SAME_THRICE" of the state has version 2, and is read here up to 1',
    ],
  ];
  for (const [others, message] of refused) {
    assert.throws(() => reopened(core.processor, { rules: others }), {
      name: "CodecError",
      message,
    });
  }
});

Deno.test("applyChanges() refuses what a rule did not read to its end", () => {
  const greedy: Rule<Run> = {
    ...sameThrice,
    memory: { ...sameThrice.memory!, read: (reader) => ({ value: reader.f64(), length: 1 }) },
  };
  const core = startHarness({ rules: [sameThrice] });
  core.reading("M1", "10:00", 1);
  assert.throws(() => reopened(core.processor, { rules: [greedy] }), {
    name: "CodecError",
    message: 'what SAME_THRICE remembers of "M1" has another length than it says',
  });
});

Deno.test("The codec refuses a section of its own that is newer, missing, or of another kind", () => {
  const core = startHarness();
  core.reading("M1", "10:00", 1);
  const task = encodeTask(core.processor);
  const [meters] = [...encodeAll(core.processor, 100)];
  const damaged = (bytes: Uint8Array, at: number, byte: number) => {
    const copy = bytes.slice();
    copy[at] = byte;
    return copy;
  };
  const apply = (bytes: Uint8Array) => applyChanges(bytes, new Processor(DEFAULTS));
  const newer = 'section "task" of the state has version 6, and is read here up to 5';
  assert.throws(() => decodeTask(damaged(task, 8, 6)), { name: "CodecError", message: newer });
  assert.throws(() => apply(damaged(meters, 9, 4)), /section "meter" of the state has version 4/);
  assert.throws(() => apply(damaged(meters, 9, 0)), /section "meter" of the state has version 0/);
  assert.throws(() => decodeTask(damaged(task, 1, 0)), /does not begin with "task"/);
  assert.throws(() => decodeTask(meters), /does not begin with "task"/);
  assert.throws(() => apply(task), /does not begin with "meter"/);
  const two = Uint8Array.from([2, 2, ...task.subarray(2, 9), 1, 0, 0x58, 7, ...task.subarray(9)]);
  assert.throws(() => decodeTask(two), /section "X" of version 7, which nothing here reads/);
  for (let length = 0; length < two.length; length++) {
    assert.throws(() => decodeTask(two.subarray(0, length)), CodecError, `${length} bytes`);
  }
});
