import assert from "node:assert/strict";
import fc from "fast-check";
import { CopyWriter } from "../../src/tables/copy.ts";
import { type DigestKey, TableDigests } from "../../src/tables/table_digests.ts";

type LateRow = {
  readonly timeMs: number;
  readonly meterId: string;
  readonly kwh: number;
  readonly partition: number;
  readonly offset: number;
};

const lateRow = fc.record({
  timeMs: fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2024, 0, 4) }),
  meterId: fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }),
  kwh: fc.double({ noNaN: true, noDefaultInfinity: true }),
  partition: fc.nat({ max: 3 }),
  offset: fc.nat({ max: 2 ** 40 }),
});

/** Rows of `late_events`; `more` are fields that a later version has behind them. */
function copyOf(rows: readonly LateRow[], more: readonly (string | null)[] = []) {
  const writer = new CopyWriter();
  for (const { timeMs, meterId, kwh, partition, offset } of rows) {
    writer.row(7 + more.length);
    writer.timestamp(timeMs);
    writer.text(meterId);
    writer.timestamp(timeMs - 1000);
    writer.float64(kwh);
    writer.float64(1);
    writer.int32(partition);
    writer.int64(offset);
    for (const text of more) {
      if (text === null) writer.null();
      else writer.text(text);
    }
  }
  return writer.finish();
}

function digestsOf(copy: Uint8Array<ArrayBuffer>, from = 0) {
  const digests = new TableDigests(() => from);
  digests.addCopy("late_events", copy);
  return sorted(digests);
}

function sorted(digests: TableDigests) {
  const name = ({ partition, day }: DigestKey) => `${partition} ${day}`;
  return [...digests.entries()].filter(([, { rows, low, high }]) => rows + low + high !== 0)
    .map(([key, digest]) => ({ key: name(key), digest }))
    .sort((a, b) => a.key < b.key ? -1 : 1);
}

const rows = fc.array(lateRow, { minLength: 1, maxLength: 20 });
const RUNS = { seed: 11, numRuns: 300 };

Deno.test("TableDigests does not depend on the order of rows, nor on how they come", () => {
  fc.assert(
    fc.property(rows, fc.nat({ max: 20 }), (all, cut) => {
      const expected = digestsOf(copyOf(all));
      assert.deepEqual(digestsOf(copyOf(all.toReversed())), expected);
      const parts = new TableDigests(() => 0);
      parts.addCopy("late_events", copyOf(all.slice(0, cut)));
      const others = new TableDigests(() => 0);
      others.addCopy("late_events", copyOf(all.slice(cut)));
      parts.take(others);
      assert.deepEqual(sorted(parts), expected);
      for (const row of all) parts.addCopy("late_events", copyOf([row]), -1);
      assert.deepEqual(sorted(parts), []);
    }),
    RUNS,
  );
});

Deno.test("TableDigests tells any one bit of a row that is another", () => {
  fc.assert(
    fc.property(lateRow, fc.nat(), (row, place) => {
      const copy = copyOf([row]);
      const expected = digestsOf(copy);
      const values = copy.length - 19 - 2 - 2; // header, number of fields, end
      const bit = place % (values * 8);
      const at = 19 + 2 + (bit >> 3);
      fc.pre(!isLength(copy, at));
      copy[at] ^= 1 << (bit & 7);
      assert.notDeepEqual(digestsOf(copy), expected);
    }),
    { ...RUNS, numRuns: 2000 },
  );
});

/** Whether a byte belongs to the length of a field: another length is no row any more. */
function isLength(copy: Uint8Array, byte: number): boolean {
  const view = new DataView(copy.buffer);
  for (let at = 21; at < copy.length - 2; at += 4 + view.getInt32(at)) {
    if (byte >= at && byte < at + 4) return true;
  }
  return false;
}

Deno.test("TableDigests leaves a row's hash as it is for fields behind it that say nothing", () => {
  fc.assert(
    fc.property(rows, (all) => {
      const expected = digestsOf(copyOf(all));
      assert.deepEqual(digestsOf(copyOf(all, [null])), expected);
      assert.deepEqual(digestsOf(copyOf(all, ["", null])), expected);
      assert.notDeepEqual(digestsOf(copyOf(all, [null, "x"])), expected);
    }),
    RUNS,
  );
});

Deno.test("TableDigests leaves rows out that are from before the digests", () => {
  fc.assert(
    fc.property(rows, fc.nat({ max: 2 ** 40 }), (all, from) => {
      const expected = digestsOf(copyOf(all.filter(({ offset }) => offset >= from)));
      assert.deepEqual(digestsOf(copyOf(all), from), expected);
    }),
    RUNS,
  );
});

Deno.test("TableDigests counts a time before 1970 on its own day", () => {
  const row = { timeMs: -1, meterId: "m", kwh: 1, partition: 0, offset: 0 };
  assert.deepEqual(digestsOf(copyOf([row])).map(({ key }) => key), ["0 -1"]);
});
