/** What the records of a file say besides their readings: it takes the whole file to know. */
import assert from "node:assert/strict";
import { formatTimestamp } from "../../src/core/time.ts";
import { inspectFiles } from "../../src/replay/inspect.ts";
import type { Inspection, ReplayOptions } from "../../src/replay/records.ts";
import {
  HEADER,
  inDirectory,
  JUDGING,
  MINUTE_MS,
  PLAIN,
  readingsOf,
  replayTexts,
  ticksOf,
  writeFiles,
} from "./fixture.ts";

const START_MS = Date.parse("2013-01-01T00:00:00Z");
const at = (minutes: number) => formatTimestamp(START_MS + minutes * MINUTE_MS);
const AUTO = { judging: { ...JUDGING, expectedIntervalMs: "auto" as const } };

/** Rows of a meter, a minute of the day each, with a value that is good unless said otherwise. */
const rows = (meter: string, minutes: readonly number[], value = "1") =>
  minutes.map((minute) => `${meter},${at(minute)},${value}\n`).join("");
const every = (step: number, count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => from + n * step);

/** What is said, as `A 00:30 15` of an interval. */
async function said(texts: readonly string[], options: Partial<ReplayOptions> = AUTO) {
  return readingsOf(await replayTexts(texts, options)).map((text) => JSON.parse(text))
    .filter((record) => "interval_minutes" in record || "skipped_intervals" in record)
    .map(({ meter_id, timestamp, interval_minutes }) =>
      `${meter_id} ${(Date.parse(timestamp) - START_MS) / MINUTE_MS} ${interval_minutes}`
    ).sort();
}

function inspect(
  texts: readonly string[],
  options: Partial<ReplayOptions> = {},
): Promise<Inspection> {
  return inDirectory((directory) =>
    inspectFiles(writeFiles(directory, texts), { ...PLAIN, ...AUTO, ...options })
  );
}

Deno.test("replayFiles() says a series' interval with its first usable reading, and each change", async () => {
  const text = HEADER + rows("A", [-60], "Null") + rows("A", [-30], "-1") +
    rows("A", every(30, 20)) +
    rows("B", every(15, 20)) + rows("B", every(30, 20, 300)) + rows("C", every(30, 6));
  assert.deepEqual(await said([text]), ["A 0 30", "B 0 15", "B 300 30"]);
  const shuffled = text.split("\n").slice(1).filter((row) => row !== "")
    .map((row, r) => [(r * 7919) % 1009, row] as const).sort(([a], [b]) => a - b)
    .map(([, row]) => `${row}\n`).join("");
  assert.deepEqual(await said([HEADER + shuffled]), ["A 0 30", "B 0 15", "B 300 30"]);
});

Deno.test("replayFiles() says no interval that is fixed, for all meters or for one", async () => {
  const text = HEADER + rows("A", every(15, 20)) + rows("B", every(15, 20));
  assert.deepEqual(await said([text], {}), []);
  const meters = new Map([["A", 30 * MINUTE_MS]]);
  const judging = { ...AUTO.judging, intervalMsByMeter: meters };
  assert.deepEqual(await said([text], { judging }), ["B 0 15"]);
});

Deno.test("replayFiles() says an interval with whichever reading is the first to be sent", async () => {
  const text = HEADER + rows("A", every(30, 200)) + rows("A", every(15, 200, 6000));
  for (let seed = 1; seed <= 20; seed++) {
    const defects = { gapProbability: 0.3, delayProbability: 0.3, duplicateProbability: 0.2, seed };
    const stream = await replayTexts([text], { ...AUTO, ...defects, maxDelayMs: 7_200_000 });
    const sent = readingsOf(stream).map((record) => JSON.parse(record));
    let latest = "";
    let interval = 0;
    for (const { timestamp, interval_minutes } of sent) {
      if (interval_minutes !== undefined) interval = interval_minutes;
      // What comes late says nothing of the series any more.
      if (timestamp > latest) {
        assert.equal(interval, timestamp < at(6000) ? 30 : 15, `seed ${seed}, ${timestamp}`);
        latest = timestamp;
      }
    }
  }
});

Deno.test("replayFiles() says an interval again behind a reading that came too late to be heard", async () => {
  const header = HEADER.replace("\n", ",received_at\n");
  const late = every(30, 3).map((minute) => `A,${at(minute)},1,${at(minute + 300)}\n`);
  const others = every(30, 40).map((minute) => `B,${at(minute)},1,${at(minute)}\n`);
  const rest = every(30, 40, 300).map((minute) => `A,${at(minute)},1,${at(minute + 1)}\n`);
  const text = header + late.join("") + others.join("") + rest.join("");
  assert.deepEqual(await said([text]), ["A 0 30", "A 300 30", "B 0 30"]);
});

Deno.test("replayFiles() knows a series by its id however it is written, over all files", async () => {
  const text = HEADER + rows("A", every(30, 4));
  const more = HEADER + rows('\u00a0="A"', every(30, 4, 120)) + rows("A\u200b", every(30, 4, 240));
  assert.deepEqual(await said([text, more]), ["A 0 30"]);
  const records = readingsOf(await replayTexts([more, text], { partitions: 7, ...AUTO }));
  assert.ok(records.every((record) => record.startsWith('{"meter_id":"A"')));
  const { partitions } = await replayTexts([text, more], { partitions: 7 });
  assert.equal(new Set(partitions).size, 2, "ticks, and one partition");
});

Deno.test("replayFiles() streams an ordered file though a reading off the grid comes after the one on it", async () => {
  const text = HEADER +
    [...every(15, 50), 149.9, 300.1, 749].sort((a, b) => a - b).map((minute) => rows("A", [minute]))
      .join("");
  assert.equal((await inspect([text])).isOrdered, true);
  const times = (stream: string[]) => stream.map((record) => JSON.parse(record).timestamp);
  const sent = times(readingsOf(await replayTexts([text], AUTO)));
  const expected = every(15, 50).flatMap((minute) =>
    minute === 150 ? [150, 149.9] : minute === 300 ? [300, 300.1] : [minute]
  );
  assert.deepEqual(sent, [...expected, 749].map(at));
  // Of a row that says when it was received, the order is that.
  const received = text.replace("_kwh\n", "_kwh,received_at\n")
    .replaceAll(/^(A,([^,]+),1)$/gm, "$1,$2");
  const byArrival = times(readingsOf(await replayTexts([received], AUTO)));
  assert.deepEqual(byArrival, byArrival.toSorted());
});

Deno.test("replayFiles() moves no clock by a row from before our days, wherever it stands", async () => {
  const old = "A,1913-05-01T00:00:00Z,1\nA,1970-01-01T00:00:00Z,1\nA,2004-12-31T23:59:59Z,1\n";
  const good = rows("A", every(30, 4));
  for (const text of [old + good, good + old, rows("A", [0]) + old + rows("A", [30, 60, 90])]) {
    const stream = await replayTexts([HEADER + text], { finalTick: true });
    const ticks = ticksOf(stream);
    assert.equal(ticks.length, 92);
    assert.deepEqual([ticks[0], ticks.at(-1)], [at(0), `${at(105)}!`]);
    const inspection = await inspect([HEADER + text]);
    assert.equal(inspection.isOrdered, true);
    assert.equal(inspection.firstEventTimeMs, START_MS);
    const warning = inspection.warnings.find(({ code }) => code === "too_old_rows");
    assert.match(
      warning?.text ?? "",
      /^3 rows dated before 2005-01-01, first in .*0\.csv:\d: 1913/,
    );
  }
  const none = await replayTexts([HEADER + old], { finalTick: true });
  assert.deepEqual(ticksOf(none), []);
});

Deno.test("replayFiles() sends a row of no use with where it stands and its cells as they were", async () => {
  const table: [string, unknown[]][] = [
    ['" A ",2013-01-01T01:00+01:00,Null', ["A", "2013-01-01T01:00+01:00", "Null"]],
    ["A,01/02/2013,1", ["A", "01/02/2013", "1"]],
    ["\u00a0,2013-01-01,1", ["\u00a0", "2013-01-01", "1"]],
    ["A,2013-01-01,", ["A", "2013-01-01", ""]],
    ["A,2013-01-01,-1.50", ["A", "2013-01-01", "-1.50"]],
    ["A,2013-01-01,100001", ["A", "2013-01-01", "100001"]],
    ["A,2004-01-01,1", ["A", "2004-01-01", "1"]],
    ["A,2030-01-01,1", ["A", "2030-01-01", "1"]],
    ['A,"1 ""2"" 3",1', ["A", '1 "2" 3', "1"]],
  ];
  for (const [row, cells] of table) {
    const text = `${HEADER}\nA,2013-01-01,1\n${row}\n`;
    const [, record] = readingsOf(await replayTexts([text], { nowMs: START_MS }))
      .toSorted((a, b) => Number(a.includes("source")) - Number(b.includes("source")));
    const { source, cells: sent } = JSON.parse(record);
    assert.match(source, /\/0\.csv:4$/, row);
    assert.deepEqual(sent, cells, row);
  }
  const good = readingsOf(await replayTexts([`${HEADER}A,2013-01-01,1\n`]))[0];
  assert.equal(good, '{"meter_id":"A","timestamp":"2013-01-01T00:00:00Z","consumption_kwh":1}');
});

Deno.test("inspectFiles() and the record agree on what is a number, white space of any kind around it", async () => {
  for (const value of ["0.15\u00a0", "\ufeff0.15", " .15", "+0.15", "1.5e-1"]) {
    const text = `${HEADER}A,2013-01-01T00:00Z,${value}\n`;
    assert.deepEqual((await inspect([text])).problems, [], JSON.stringify(value));
    const [record] = readingsOf(await replayTexts([text]));
    assert.equal(Number(JSON.parse(record).consumption_kwh), 0.15);
    assert.ok(!record.includes("source"));
  }
});

Deno.test("inspectFiles() warns once of each thing, with its meters", async () => {
  const codes = async (text: string, options: Partial<ReplayOptions> = {}) =>
    (await inspect([HEADER + text], options)).warnings
      .map(({ code, meters }) => [code, ...(meters ?? [])].join(" "));
  assert.deepEqual(await codes(rows("A", every(30, 7))), []);
  assert.deepEqual(await codes(rows("A", every(30, 6)) + rows("B", [0])), ["unjudged A B"]);
  assert.deepEqual(await codes(rows("A", every(30, 6)), { judging: JUDGING }), []);
  assert.deepEqual(
    await codes(rows("A", every(15, 13)) + rows("B", every(15, 12)), { judging: JUDGING }),
    [
      "interval_mismatch A",
    ],
  );
  assert.deepEqual(await codes(rows("A", every(15, 13)) + rows("A", every(30, 13, 200))), [
    "interval_changed A",
  ]);
  assert.deepEqual(
    await codes(rows("A", every(30, 7)) + rows("a", every(30, 7)) + rows("'A", every(30, 7))),
    [
      "look_alike_ids A a 'A",
    ],
  );
  assert.deepEqual(await codes("A,2013-01-01,1\nA,2013-01-02T00:00,1\n"), [
    "unjudged A",
    "no_offset",
  ]);
});

Deno.test("inspectFiles() counts a header that comes again, and takes it for no row", async () => {
  const text = HEADER + rows("A", [0]) + HEADER + rows("A", [30]);
  const inspection = await inspect([text]);
  assert.deepEqual([inspection.rows, inspection.problems], [2, []]);
  assert.equal(inspection.files[0].repeatedHeaders, 1);
  assert.equal((await replayTexts([text])).rowsRead, 2);
});
