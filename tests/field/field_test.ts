/** Each field case from its file to what the core says, with the right answers of its README. */
import assert from "node:assert/strict";
import { CASES } from "./cases.ts";
import { fieldCase, hasField, playTexts } from "./play.ts";

/** A file in other orders, which are the same file. */
export function ordersOf(text: string): Record<string, string> {
  const [header, ...rows] = text.trimEnd().split("\n");
  const time = (row: string) => row.split(",")[1];
  const ascending = rows.toSorted((a, b) => time(a) < time(b) ? -1 : time(a) > time(b) ? 1 : 0);
  const file = (rows: readonly string[]) => `${header}\n${rows.join("\n")}\n`;
  const half = rows.length >> 1;
  return {
    "as it is": text,
    "oldest first": file(ascending),
    "newest first": file(ascending.toReversed()),
    "shuffled": file(
      rows.map((row, r) => [(r * 7919) % 10_007, row] as const)
        .sort(([a], [b]) => a - b).map(([, row]) => row),
    ),
    "put together of two files": file(rows.slice(half)) + file(rows.slice(0, half)),
  };
}

for (const [name, { options, counts, gaps = [], warnings, anyOrder }] of Object.entries(CASES)) {
  Deno.test({
    name: `the field case ${name} gets its right answer${anyOrder ? " in any order" : ""}`,
    ignore: !hasField,
    fn: async () => {
      const text = fieldCase(name);
      for (const [order, file] of Object.entries(anyOrder ? ordersOf(text) : { "": text })) {
        for (const partitions of [1, 3]) {
          const played = await playTexts([file], { ...options, partitions });
          assert.deepEqual(played.counts, counts, order);
          assert.deepEqual(played.gaps, gaps, order);
          const codes = played.inspection.warnings.map(({ code }) => code);
          assert.deepEqual(codes, warnings ?? [], order);
        }
      }
    },
  });
}

Deno.test({
  name: "the field case m15_as_30_single_holes has its 37 gaps, and a warning under a fixed 30",
  ignore: !hasField,
  fn: async () => {
    const text = fieldCase("m15_as_30_single_holes");
    const { counts, gaps } = await playTexts([text]);
    assert.deepEqual(counts, { OK: 347 });
    assert.equal(gaps.length, 37);
    assert.ok(gaps.every((gap) => gap.endsWith(" 1 CLOSED")));
    const fixed = await playTexts([text], { settings: { expected_interval_minutes: "30" } });
    const [warning] = fixed.inspection.warnings;
    assert.equal(warning.code, "interval_mismatch");
    assert.match(warning.text, /every 15 minutes, not 30 minutes.*EXPECTED_INTERVAL_MINUTES=auto$/);
    assert.deepEqual(warning.meters, ["A"]);
  },
});

Deno.test({
  name: "the field cases 11: three days in files of any order are one history",
  ignore: !hasField,
  fn: async () => {
    const days = ["11-day1", "11-day3", "11-day2-late"].map(fieldCase);
    const { counts, gaps } = await playTexts(days);
    assert.deepEqual([counts, gaps], [{ OK: 144 }, []]);
  },
});

Deno.test({
  name: "the field cases 12: a history sent twice is identical but for its revised values",
  ignore: !hasField,
  fn: async () => {
    const texts = ["12-history-monday", "12-history-tuesday"].map(fieldCase);
    const { counts, gaps } = await playTexts(texts);
    assert.deepEqual(counts, { OK: 144, DUPLICATE: 93, CONFLICT: 3 });
    assert.deepEqual(gaps, []);
  },
});

Deno.test({
  name: "the field case 03 keeps the readings on the grid",
  ignore: !hasField,
  fn: async () => {
    const { validated, rejected } = await playTexts([fieldCase("03-edf-doubles-offgrid")]);
    for (const { at } of validated) assert.match(at, /:[03]0:00Z$/);
    const conflicts = rejected.filter(({ reason }) => reason === "CONFLICT").map(({ at }) => at);
    assert.deepEqual(conflicts.sort(), ["2023-12-26T12:14:10Z", "2023-12-26T13:29:44Z"]);
  },
});

Deno.test({
  name: "the field case 22 refuses the totals where a reading on the grid has their slot",
  ignore: !hasField,
  fn: async () => {
    const { rejected, validated } = await playTexts([fieldCase("22-daily-row-2359")]);
    for (const { at } of rejected) assert.match(at ?? "", /T23:59:59Z$/);
    assert.equal(validated.at(-1)?.at, "2022-09-03T23:59:59Z");
  },
});
