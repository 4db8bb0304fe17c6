/** What holds of the oracle's answer for any stream, and that the streams reach all there is. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BASE_MS,
  optionsArbitrary,
  recordTimesArbitrary,
  replaysArbitrary,
  streamArbitrary,
} from "./arbitraries.ts";
import { oracle, type OracleAnswer, type OracleOptions } from "./oracle.ts";

const SEED = 20240101;
const DAY_MS = 86_400_000;
const RUNS = Number(Deno.env.get("GRIDWATCH_TEST_RUNS") ?? 1000);

const cases = optionsArbitrary.chain((options) =>
  streamArbitrary(options).chain((records) =>
    fc.tuple(recordTimesArbitrary(records), replaysArbitrary(records))
      .map(([times, starts]) => ({ options, records, times, starts }))
  )
);

/**
 * What must be met at least so often in a thousand streams. Without it a generator that never
 * brings a silent meter back would let every comparison pass.
 */
const REACHED_MIN: Readonly<Record<string, number>> = {
  ...{ ok: 1000, late: 1000, too_late: 1000, duplicate: 1000, rejected: 1000, tick: 1000 },
  ...{ MALFORMED: 50, MISSING_FIELD: 50, BAD_METER_ID: 50, BAD_TIMESTAMP: 50, BAD_VALUE: 50 },
  ...{ NEGATIVE: 50, TOO_LARGE: 50, TOO_OLD: 50, FUTURE: 50, TOO_MANY_METERS: 50 },
  ...{ DUPLICATE: 50, CONFLICT: 50 },
  ...{ "flag NEGATIVE": 50, "flag TIME_SHIFT": 50, "flag REVISES": 50 },
  ...{ "edge t == W": 50, "edge t == horizon": 50, "edge slot + grace == W": 50 },
  ...{ "edge W == last + time to live": 50, "edge W == last + forget": 50 },
  ...{ "gap none to OPEN": 50, "gap none to CLOSED": 50, "gap OPEN to OPEN": 50 },
  ...{ "gap OPEN to CLOSED": 50, "gap OPEN to FILLED": 50, "gap OPEN to EXPIRED": 50 },
  ...{ "gap CLOSED to CLOSED": 50, "gap CLOSED to FILLED": 50, "gap EXPIRED to CLOSED": 50 },
  ...{ "gap EXPIRED to EXPIRED": 50, "gap EXPIRED to FILLED": 5, "gap EXPIRED to OPEN": 10 },
  ...{ returned: 50, forgotten: 50, "forgotten while learning": 20, "slot forgotten": 50 },
  ...{ "retired unknown": 10, "retired silent": 10, "retired gap": 10, "retired healthy": 10 },
  ...{ "retired unjudged": 10, "retired late": 10 },
  ...{ "interval grew by a run": 50, "interval shrank by a run": 50, "interval said anew": 50 },
  ...{ "interval said on return": 10, "hole of an older piece filled": 10 },
  ...{ "learned from 7": 50, "learned from 8": 20, "learned from 12": 10 },
  ...{ "status healthy": 50, "status late": 50, "status gap": 50, "status silent": 50 },
  ...{ "status unusable": 20, "status unjudged": 50, "status retired": 20 },
  contradicted: 20,
};

function countReached(counts: Map<string, number>, answer: OracleAnswer): void {
  const add = (label: string, times = 1) => counts.set(label, (counts.get(label) ?? 0) + times);
  for (const { disposition, reason, flags } of answer.dispositions) {
    add(disposition);
    if (reason !== null) add(reason);
    for (const flag of flags) add(`flag ${flag}`);
  }
  for (const [label, times] of answer.reached) add(label, times);
  for (const status of answer.status.values()) add(`status ${status}`);
  for (const _ of answer.contradicted) add("contradicted");
}

Deno.test("the generated streams reach every state of the contract, often", () => {
  const counts = new Map<string, number>();
  fc.assert(
    fc.property(cases, ({ options, records, times, starts }) => {
      countReached(counts, oracle(records, times, options, starts));
    }),
    { seed: SEED, numRuns: RUNS },
  );
  const listed = [...counts].sort(([a], [b]) => a < b ? -1 : 1);
  console.log(listed.map(([label, count]) => `${String(count).padStart(8)}  ${label}`).join("\n"));
  const short = Object.entries(REACHED_MIN)
    .map(([label, min]) => ({
      label,
      min: Math.floor(min * RUNS / 1000),
      count: counts.get(label),
    }))
    .filter(({ min, count }) => (count ?? 0) < min);
  assert.deepEqual(short, []);
});

Deno.test("oracle() balances its ledger, on any stream", () => {
  const property = fc.property(cases, ({ options, records, times, starts }) => {
    const { ledger, dispositions } = oracle(records, times, options, starts);
    const { raw, ...counted } = ledger;
    assert.equal(raw, records.length);
    assert.equal(Object.values(counted).reduce((sum, count) => sum + count, 0), raw);
    assert.deepEqual(dispositions.map(({ offset }) => offset), records.map((_, index) => index));
    for (const { disposition, reason, flags, heldKwh } of dispositions) {
      const repeats = reason === "DUPLICATE" || reason === "CONFLICT";
      assert.equal(repeats, disposition === "duplicate");
      assert.equal(reason !== null, disposition === "duplicate" || disposition === "rejected");
      assert.equal(heldKwh !== null, repeats || flags.includes("REVISES"));
    }
  });
  fc.assert(property, { seed: SEED + 1, numRuns: RUNS });
});

Deno.test("oracle() gives every gap one id, whole slots, and a state that fits, on any stream", () => {
  const property = fc.property(cases, ({ options, records, times, starts }) => {
    const { gaps, reusedGapIds, saidIntervals, reached } = oracle(records, times, options, starts);
    const byId = new Set(gaps.map(({ gapId }) => gapId));
    assert.equal(byId.size, gaps.length);
    // A history that begins anew may lie before one that ended.
    const ended = [...reached.keys()].some((label) => /^(retired|forgotten)/.test(label));
    if (!ended) assert.deepEqual([...reusedGapIds], []);
    for (const gap of gaps) {
      assert.equal(gap.state === "FILLED", gap.missingIntervals === 0);
      assert.equal(gap.state === "FILLED", gap.filledIntervals !== null);
      assert.equal(gap.missingIntervals === 0, gap.missingToMs === gap.missingFromMs);
      assert.ok(gap.filledIntervals === null || gap.filledIntervals > 0);
      assert.ok((gap.missingToMs - gap.missingFromMs) % 60_000 === 0);
      assert.ok(gap.rejectedIntervals <= gap.missingIntervals);
      const said = saidIntervals.get(gap.gapId)!;
      if (gap.state === "OPEN") assert.ok(gap.missingIntervals < 2 * said);
      else assert.equal(said, gap.missingIntervals);
    }
  });
  fc.assert(property, { seed: SEED + 2, numRuns: RUNS });
});

const LONG_LIVES = { stateTtlMs: 100 * DAY_MS, forgetAfterMs: 200 * DAY_MS };

/** A clock beyond every grace, and before any time to live. */
function finalTick(answer: OracleAnswer, options: OracleOptions): string[] {
  if (answer.watermarkMs === null) return [];
  const atMs = answer.watermarkMs + options.outOfOrdernessMs + options.gapGraceMs;
  return [JSON.stringify({ type: "tick", timestamp: new Date(atMs).toISOString() })];
}

Deno.test("present and missing slots of a piece are its span, whatever comes", () => {
  const property = fc.property(cases, ({ options, records }) => {
    for (const { pieces } of oracle(records, null, options).series.values()) {
      for (const { firstOrdinal, lastOrdinal, present, missing, withdrawn } of pieces) {
        assert.equal(present + missing + withdrawn, lastOrdinal - firstOrdinal + 1);
      }
    }
  });
  fc.assert(property, { seed: SEED + 3, numRuns: RUNS });
});

Deno.test("what completeness lacks is what the gaps of meters that nothing ends miss", () => {
  const property = fc.property(cases, ({ options, records }) => {
    const lasting = { ...options, ...LONG_LIVES, nowMs: null };
    const { dispositions } = oracle(records, null, lasting);
    const kept = records.filter((text, index) =>
      !text.includes("retire") && (dispositions[index].timestampMs ?? 0) < BASE_MS + 20 * DAY_MS
    );
    const all = [...kept, ...finalTick(oracle(kept, null, lasting), lasting)];
    const { completeness, gaps } = oracle(all, null, lasting);
    const missing = gaps.reduce((sum, { missingIntervals }) => sum + missingIntervals, 0);
    assert.equal(completeness.expected - completeness.valid, missing);
  });
  fc.assert(property, { seed: SEED + 4, numRuns: Math.ceil(RUNS / 3) });
});

Deno.test("ticks in between change neither gaps nor counts, on any stream without late readings", () => {
  const property = fc.property(cases, ({ options: drawn, records }) => {
    const options = { ...drawn, watermarkScope: "partition" as const, nowMs: null };
    const before = oracle(records, null, options);
    const onTime = records.filter((_, index) => before.dispositions[index].disposition === "ok");
    const plain = oracle(onTime, null, options);
    // A reading may be a repeat now that others are gone from what the interval is learned from.
    fc.pre(plain.ledger.ok === onTime.length);
    // A tick before each reading says that its time has come, as a replay's ticks do.
    const ticked = onTime.flatMap((text, index) => {
      const atMs = plain.dispositions[index].timestampMs!;
      return [JSON.stringify({ type: "tick", timestamp: new Date(atMs).toISOString() }), text];
    });
    const withTicks = oracle(ticked, null, options);
    assert.equal(withTicks.ledger.ok, onTime.length);
    assert.deepEqual(shape(withTicks), shape(plain));
  });
  fc.assert(property, { seed: SEED + 5, numRuns: RUNS });
});

/** What a watermark's step may not change; a FILLED gap may never have been seen. */
function shape({ gaps, completeness, status }: OracleAnswer) {
  return { gaps: gaps.filter(({ state }) => state !== "FILLED"), completeness, status };
}

Deno.test("oracle() in meter scope gives each meter the answer it has alone with the ticks", () => {
  const property = fc.property(cases, ({ options: drawn, records }) => {
    const options = { ...drawn, watermarkScope: "meter" as const, metersMax: 1000 };
    const whole = oracle(records, null, options);
    for (const meterId of new Set(whole.dispositions.map((it) => it.meterId))) {
      if (meterId === null) continue;
      const own = whole.dispositions.filter((it) => [meterId, null].includes(it.meterId));
      const alone = oracle(own.map(({ offset }) => records[offset]), null, options);
      assert.deepEqual(alone.gaps, whole.gaps.filter((gap) => gap.meterId === meterId));
      assert.deepEqual(
        alone.dispositions.map((it, index) => ({ ...it, offset: own[index].offset })),
        own,
      );
    }
  });
  fc.assert(property, { seed: SEED + 6, numRuns: Math.ceil(RUNS / 3) });
});
