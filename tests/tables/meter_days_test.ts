import assert from "node:assert/strict";
import fc from "fast-check";
import { METER_DAY_COLUMNS, MeterDays } from "../../src/tables/meter_days.ts";
import { CopyWriter } from "../../src/tables/copy.ts";

const SEED = 20_130_101;
const PARTITION = 3;
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2013, 0, 1);

type Reading = {
  readonly meterId: string;
  readonly timestampMs: number;
  readonly kwh: number;
  readonly revisesKwh: number | null;
  readonly offset: number;
  readonly isLate: boolean;
  readonly isFlagged: boolean;
};

const reading: fc.Arbitrary<Reading> = fc.record({
  meterId: fc.oneof(
    fc.nat({ max: 2000 }).map((meter) => `MTR${meter}`),
    fc.constantFrom("", "é", "é7", "\u{1f50c}", "MTR1", "MTR10"),
  ),
  // On both sides of midnight and of 1970.
  timestampMs: fc.oneof(
    fc.integer({ min: -3, max: 200 }).map((slot) => START_MS + slot * 1_800_000),
    fc.constantFrom(-1, 0, START_MS - 1, START_MS),
  ),
  kwh: fc.nat({ max: 1000 }).map((n) => n / 1000), // whole milliwatt-hours, no whole bits
  revisesKwh: fc.option(fc.nat({ max: 1000 }).map((n) => n / 1000)),
  offset: fc.nat({ max: 2 ** 40 }),
  isLate: fc.boolean(),
  isFlagged: fc.boolean(),
});

/** The specification: group by meter and day, in the order of the first reading of each. */
function expectedRows(readings: readonly Reading[]): Uint8Array {
  const groups = Map.groupBy(
    readings,
    ({ meterId, timestampMs }) => `${Math.floor(timestampMs / DAY_MS)} ${meterId}`,
  );
  const writer = new CopyWriter();
  for (const group of groups.values()) {
    const times = group.map(({ timestampMs }) => timestampMs).sort((a, b) => a - b);
    writer.row(METER_DAY_COLUMNS.length);
    writer.timestamp(Math.floor(times[0] / DAY_MS) * DAY_MS);
    writer.text(group[0].meterId);
    writer.int32(PARTITION);
    writer.int32(group.length);
    writer.int32(group.filter(({ isLate }) => isLate).length);
    writer.int32(group.filter(({ isFlagged }) => isFlagged).length);
    const mwh = group.reduce(
      (sum, { kwh, revisesKwh }) => sum + Math.round((kwh - (revisesKwh ?? 0)) * 1e6),
      0,
    );
    const late = group.filter(({ isLate }) => isLate).map(({ offset }) => offset);
    writer.float64(mwh / 1e6);
    writer.timestamp(times[0]);
    writer.timestamp(times[times.length - 1]);
    writer.int32(group.filter(({ revisesKwh }) => revisesKwh !== null).length);
    writer.int64(mwh);
    writer.int64(Math.max(...group.map(({ offset }) => offset)));
    writer.int64(Math.max(-1, ...late));
  }
  return writer.finish();
}

const encoder = new TextEncoder();

Deno.test("MeterDays sums readings by meter and day, whether ids come as text or as bytes", () => {
  const spells = fc.array(fc.tuple(reading, fc.boolean()), { maxLength: 3000, size: "max" });
  fc.assert(
    fc.property(spells, (given) => {
      const days = new MeterDays();
      for (const [{ meterId, ...rest }, asBytes] of given) {
        if (!asBytes) days.add(meterId, rest);
        else {
          const bytes = encoder.encode(`"${meterId}"`);
          days.addUtf8(bytes, 1, bytes.length - 1, rest);
        }
      }
      const found = days.write(new CopyWriter(), PARTITION).finish();
      assert.deepEqual(found, expectedRows(given.map(([one]) => one)));
    }),
    { seed: SEED, numRuns: 50 },
  );
});

Deno.test("MeterDays takes ids for one that PostgreSQL would store as one", () => {
  const days = new MeterDays();
  const place = { timestampMs: START_MS, offset: 0 };
  const one = { ...place, kwh: 1, revisesKwh: null, isLate: false, isFlagged: false };
  for (const id of ["A\ud800", "A\udfff", "A\ufffd"]) days.add(id, one);
  assert.equal(days.size, 1);
});
