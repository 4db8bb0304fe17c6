import assert from "node:assert/strict";
import fc from "fast-check";
import { Processor } from "../../src/core/processor.ts";
import {
  BASE_MS,
  optionsArbitrary,
  recordTimesArbitrary,
  streamArbitrary,
} from "../specification/arbitraries.ts";
import { coreOptions, dispositionsOf, foldRecords, gapTable, plainGap } from "./fold.ts";
import { oracle, type OracleOptions } from "../specification/oracle.ts";

const RUNS = Number(Deno.env.get("GRIDWATCH_TEST_RUNS") ?? 2000);

/** When the replay began that wrote a record, near the records' own times; null: it is live. */
const startArbitrary = fc.oneof(
  fc.constant(null),
  fc.constantFrom(...[0, 1, 30].map((hours) => BASE_MS + hours * 3_600_000)),
);

const cases = optionsArbitrary.chain((options) =>
  streamArbitrary(options).chain((records) =>
    fc.record({
      options: fc.constant(options),
      records: fc.constant(records),
      times: fc.oneof(fc.constant(null), recordTimesArbitrary(records)),
      starts: fc.oneof(
        { arbitrary: fc.constant(null), weight: 3 },
        fc.array(startArbitrary, { minLength: records.length, maxLength: records.length }),
      ),
    })
  )
);

/** Without a wall clock that the final tick could be ahead of. */
const endingCases = cases.map(({ options, ...rest }) => ({
  ...rest,
  options: { ...options, nowMs: null },
}));

/** The final tick makes every open gap say its length, which is what the oracle gives. */
function finalTick(records: readonly string[], options: OracleOptions): string[] {
  const { watermarkMs } = oracle(records, null, options);
  if (watermarkMs === null) return [];
  const timestamp = new Date(watermarkMs + options.outOfOrdernessMs).toISOString();
  return [`{"type":"tick","timestamp":"${timestamp}","final":true}`];
}

Deno.test("Processor gives every record the disposition that the specification gives", () => {
  fc.assert(
    fc.property(cases, ({ options, records, times, starts }) => {
      const expected = oracle(records, times, options, starts);
      const processor = new Processor(coreOptions(options));
      foldRecords(processor, records, times, starts);
      const said = dispositionsOf(processor.takeOutputs());
      for (const disposition of expected.dispositions) {
        const { offset } = disposition;
        if (disposition.disposition === "tick") {
          assert.equal(said.get(offset), undefined, `output for the tick at ${offset}`);
          continue;
        }
        const actual = said.get(offset);
        assert.equal(actual?.disposition, disposition.disposition, `offset ${offset}`);
        assert.equal(actual?.reason, disposition.reason, `reason at ${offset}`);
        assert.equal(actual?.delayMs, disposition.delayMs, `delay at ${offset}`);
        assert.deepEqual(actual?.flags, disposition.flags, `flags at ${offset}`);
        if (disposition.disposition !== "rejected") {
          assert.equal(actual?.meterId, disposition.meterId);
          assert.equal(actual?.timestampMs, disposition.timestampMs);
        }
      }
      assert.deepEqual(processor.state.ledger, expected.ledger);
      assert.equal(processor.watermarkMs, expected.watermarkMs);
    }),
    { numRuns: RUNS },
  );
});

Deno.test("Processor ends with the gaps that the specification finds in the whole past", () => {
  fc.assert(
    fc.property(endingCases, ({ options, records }) => {
      const all = [...records, ...finalTick(records, options)];
      const expected = oracle(all, null, options).gaps;
      const processor = new Processor(coreOptions(options));
      foldRecords(processor, all);
      const gaps = [...gapTable(processor.takeOutputs().gaps).values()].map(plainGap);
      gaps.sort((a, b) => a.gapId < b.gapId ? -1 : 1);
      assert.deepEqual(gaps, expected);
    }),
    { numRuns: RUNS },
  );
});

Deno.test("Processor has announced every gap there is, with its state, after every record", () => {
  fc.assert(
    fc.property(cases, fc.nat(60), ({ options, records }, cut) => {
      const prefix = records.slice(0, cut);
      const expected = oracle(prefix, null, options).gaps;
      const processor = new Processor(coreOptions(options));
      foldRecords(processor, prefix);
      const table = gapTable(processor.takeOutputs().gaps);
      assert.deepEqual([...table.keys()].sort(), expected.map((gap) => gap.gapId).sort());
      for (const gap of expected) {
        const actual = plainGap(table.get(gap.gapId)!);
        assert.equal(actual.state, gap.state, gap.gapId);
        if (gap.state === "OPEN") {
          assert.ok(gap.missingIntervals < 2 * actual.missingIntervals, "doubled in silence");
          assert.equal(actual.missingFromMs, gap.missingFromMs);
        } else {
          assert.deepEqual(actual, gap);
        }
      }
    }),
    { numRuns: RUNS },
  );
});
