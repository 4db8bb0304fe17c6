import assert from "node:assert/strict";
import {
  newSeriesTable,
  NO_SERIES,
  seriesId,
  seriesOfCell,
  UNKNOWN_SERIES,
} from "../../src/replay/series_table.ts";

const encoder = new TextEncoder();

Deno.test('seriesOfCell() trims what nobody sees from an id, and reads ="x" as x', () => {
  const table = newSeriesTable();
  const find = (text: string, adds = true) => {
    const bytes = encoder.encode(`,${text},`);
    return seriesOfCell(table, bytes, 1, bytes.length - 1, adds);
  };
  const unseen = [
    "\u00a0",
    "\ufeff",
    "\u200b",
    "\u200d",
    "\u2060",
    "\u3000",
    "\u2028",
    " \t",
    "\u0085",
  ];
  for (const id of ["INV1", "é", '6"', "a b"]) {
    const series = find(id);
    assert.equal(seriesId(table, series), id);
    for (const one of unseen) {
      for (const cell of [one + id, id + one, one + one + id + one, `${one}="${id}"${one}`]) {
        assert.equal(find(cell), series, JSON.stringify(cell));
      }
    }
    assert.equal(find(`=" ${id.replaceAll('"', '""')}\u00a0"`), series);
  }
  assert.equal(table.count, 4);
  assert.notEqual(find("inv1"), find("INV1"));
  assert.notEqual(find("'INV1"), find("INV1"));
  for (const bad of ["", "\u00a0\ufeff", '=""', "a\u0001b", "a\u0085b", "x".repeat(257)]) {
    assert.equal(find(bad), NO_SERIES, JSON.stringify(bad));
  }
  assert.equal(find("new", false), UNKNOWN_SERIES);
});

Deno.test("seriesOfCell() finds each of many series again, in whatever order they come", () => {
  const table = newSeriesTable(2);
  const cells = Array.from(
    { length: 3000 },
    (_, i) => encoder.encode(`MAC${String(i).padStart(6, "0")}`),
  );
  const find = (i: number, adds = true) => seriesOfCell(table, cells[i], 0, cells[i].length, adds);
  for (let i = 0; i < cells.length; i++) assert.equal(find(i), i);
  for (let i = 0; i < 10_000; i++) {
    const at = (i * 7919) % cells.length;
    assert.equal(find(at, false), at);
    assert.equal(find(i % 7, false), i % 7);
  }
});
