import assert from "node:assert/strict";
import fc from "fast-check";
import { MeterTable } from "../../src/core/meters.ts";

const encoder = new TextEncoder();

/** Pairs that FNV-1a gives one hash of 32 bits, and ids that are like each other. */
const IDS = [
  ...["costarring", "liquid", "declinate", "macallums", "altarage", "zinke"],
  ...["M1", "M2", "M11", "1M", "", " ", "Ä", "A", "\u0001", "__proto__", "☼😀", "x".repeat(256)],
  ...Array.from({ length: 40 }, (_, n) => `MAC${n}`),
];
const INTERVALS_MS = [60_000, 1_800_000];
const RING_LENGTHS = new Map([[60_000, 5], [1_800_000, 3]]);

const isAscii = (id: string) => [...id].every((char) => char <= "\x7f");

const command = fc.record({
  kind: fc.constantFrom("add", "add", "add", "remove", "move", "move", "value", "take"),
  id: fc.nat(IDS.length - 1),
  interval: fc.nat(INTERVALS_MS.length - 1),
  steps: fc.integer({ min: 1, max: 7 }),
});
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

/** A meter as the model knows it. */
type Plain = {
  i: number;
  serial: number;
  intervalMs: number;
  lastMs: number;
  ordinal: number;
  values: Map<number, number>;
};
type Model = {
  meters: Map<string, Plain>;
  nextSerial: number;
  changed: Set<string>;
  removed: Set<string>;
  nextValue: number;
};

function play(table: MeterTable, model: Model, { kind, id: n, interval, steps }: Command): void {
  const id = IDS[n];
  const known = model.meters.get(id);
  switch (kind) {
    case "add": {
      // The empty id is the mark of a free index: no record can bring one.
      if (known !== undefined || id === "") return;
      const i = table.add(id);
      const intervalMs = INTERVALS_MS[interval];
      table.intervalMs[i] = intervalMs;
      table.takeRing(i);
      table.grids.slotMs[i] = model.nextSerial;
      table.grids.residuals[6 * i] = 0;
      table.timers.set(i, model.nextSerial);
      table.holes.set(i, []);
      table.marks.set(i, []);
      table.markChanged(i);
      const serial = model.nextSerial++;
      const meter = { i, serial, intervalMs, lastMs: serial, ordinal: 0, values: new Map() };
      model.meters.set(id, meter);
      model.changed.add(id);
      model.removed.delete(id);
      return;
    }
    case "remove":
      if (known === undefined) return;
      table.remove(known.i);
      model.meters.delete(id);
      model.changed.delete(id);
      model.removed.add(id);
      return;
    case "move":
      if (known === undefined) return;
      known.ordinal += steps;
      known.lastMs = model.nextValue;
      known.values.set(known.ordinal, model.nextValue);
      table.ordinal[known.i] += steps;
      table.grids.slotMs[known.i] = model.nextValue;
      table.setLatestValue(known.i, steps, model.nextValue++);
      table.markChanged(known.i);
      model.changed.add(id);
      return;
    case "value":
      if (known === undefined) return;
      known.values.set(known.ordinal - steps + 1, model.nextValue);
      table.setValueAt(known.i, known.ordinal - steps + 1, model.nextValue++);
      return;
    case "take": {
      const { changed, removed } = table.takeChanges();
      assert.deepEqual(changed.map((i) => table.idOf(i)).sort(), [...model.changed].sort());
      assert.deepEqual(removed.sort(), [...model.removed].sort());
      model.changed.clear();
      model.removed.clear();
      return;
    }
  }
}

function compare(table: MeterTable, model: Model): void {
  assert.equal(table.count, model.meters.size);
  const indexes = [...table.indexes()];
  assert.deepEqual(indexes.map((i) => table.idOf(i)).sort(), [...model.meters.keys()].sort());
  for (const id of IDS) {
    const meter = model.meters.get(id);
    assert.equal(table.find(id), meter?.i ?? -1, id);
    if (isAscii(id)) {
      const bytes = encoder.encode(`<${id}>`);
      assert.equal(table.findBytes(bytes, 1, bytes.length - 1), meter?.i ?? -1, `bytes of ${id}`);
    }
    if (meter === undefined) continue;
    const { i, intervalMs, ordinal } = meter;
    assert.equal(table.serial[i], meter.serial);
    assert.equal(table.intervalMs[i], intervalMs);
    assert.equal(table.ordinal[i], ordinal);
    assert.equal(table.lastMs(i), meter.lastMs);
    const length = RING_LENGTHS.get(intervalMs)!;
    assert.equal(table.ringLength(i), length);
    for (let back = 0; back < length + 3; back++) {
      const expected: number = back < length ? meter.values.get(ordinal - back) ?? NaN : NaN;
      assert.equal(table.valueAt(i, ordinal - back), expected, `${id}, ${back} slots back`);
    }
  }
  assert.equal(table.holes.size, model.meters.size, "nothing is kept of a meter that is gone");
  assert.equal(table.marks.size, model.meters.size);
}

const newTable = (capacity?: number) =>
  new MeterTable((intervalMs) => RING_LENGTHS.get(intervalMs)!, capacity);

Deno.test("MeterTable holds what a Map of meters would, through collisions, growth and reuse", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 2, 16),
      fc.array(command, { minLength: 1, maxLength: 150, size: "max" }),
      (capacity, commands) => {
        const table = newTable(capacity);
        const model: Model = {
          ...{ meters: new Map(), nextSerial: 0, nextValue: 1 },
          ...{ changed: new Set(), removed: new Set() },
        };
        for (const step of commands) play(table, model, step);
        compare(table, model);
        const due: number[] = [];
        table.timers.take(Number.MAX_SAFE_INTEGER, due);
        assert.equal(due.length, model.meters.size, "one timer a meter");
        play(table, model, { kind: "take", id: 0, interval: 0, steps: 1 });
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("MeterTable.takeChanges() tells of a meter that came back as changed, never as removed", () => {
  const table = newTable();
  const add = (id: string) => {
    const i = table.add(id);
    table.intervalMs[i] = 60_000;
    table.takeRing(i);
    table.markChanged(i);
    return i;
  };
  const i = add("M1");
  table.takeChanges();
  table.remove(i);
  assert.equal(add("M1"), i, "the index is used again");
  assert.deepEqual(table.takeChanges(), { changed: [i], removed: [] });
  table.remove(i);
  assert.equal(add("M2"), i);
  assert.deepEqual(table.takeChanges(), { changed: [i], removed: ["M1"] });
  table.remove(i);
  add("M3");
  table.remove(i);
  assert.deepEqual(table.takeChanges(), { changed: [], removed: ["M2", "M3"] });
  assert.deepEqual(table.takeChanges(), { changed: [], removed: [] });
});

Deno.test("MeterTable gives a reused index none of the values of the meter before", () => {
  const table = newTable();
  const i = table.add("M1");
  table.intervalMs[i] = 60_000;
  table.takeRing(i);
  for (let n = 0; n < 9; n++) {
    table.ordinal[i]++;
    table.setLatestValue(i, 1, n);
  }
  table.remove(i);
  const j = table.add("M2");
  assert.equal(table.isSilent(j), false, "it has no interval yet");
  table.intervalMs[j] = 60_000;
  assert.equal(table.isSilent(j), true);
  table.takeRing(j);
  assert.equal(table.isSilent(j), false);
  for (let back = 0; back < 5; back++) assert.equal(table.valueAt(j, -back), NaN);
  assert.deepEqual([table.ordinal[j], table.firstOrdinal[j], table.openSent[j]], [0, 0, 0]);
});

Deno.test("MeterTable finds each of 100,000 meters by text and by bytes, and none of the others", () => {
  const table = newTable();
  const idOf = (n: number) => `MAC${String(n).padStart(6, "0")}`;
  for (let n = 0; n < 100_000; n++) table.add(idOf(n));
  for (let n = 0; n < 100_000; n += 2) table.remove(table.find(idOf(n)));
  for (let n = 0; n < 100_000; n++) {
    const bytes = encoder.encode(idOf(n));
    const i = table.find(idOf(n));
    assert.equal(table.findBytes(bytes, 0, bytes.length), i);
    assert.equal(i >= 0, n % 2 === 1);
    if (i >= 0) assert.equal(table.idOf(i), idOf(n));
  }
});
