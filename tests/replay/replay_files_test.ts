import assert from "node:assert/strict";
import fc from "fast-check";
import { formatTimestamp } from "../../src/core/time.ts";
import { inspectFiles } from "../../src/replay/inspect.ts";
import type { ReplayOptions } from "../../src/replay/records.ts";
import { replayFiles } from "../../src/replay/replay_files.ts";
import {
  collect,
  DAY_MS,
  HEADER,
  HOUR_MS,
  inDirectory,
  JUDGING,
  MINUTE_MS,
  PLAIN,
  readingsOf,
  replayTexts,
  ticksOf,
  withoutOrigin,
  writeFiles,
} from "./fixture.ts";

const START_MS = Date.parse("2013-01-01T00:00:00Z");
const at = (minutes: number) => formatTimestamp(START_MS + minutes * MINUTE_MS);

Deno.test("replayFiles() writes a row as the record the core reads fastest", async () => {
  const text = `${HEADER}MAC000002,2013-01-01 10:30:00.0000000, 0.219 \n`;
  const { records, partitions } = await replayTexts([text]);
  assert.deepEqual(records, [
    '{"type":"tick","timestamp":"2013-01-01T10:30:00Z"}',
    '{"meter_id":"MAC000002","timestamp":"2013-01-01T10:30:00Z","consumption_kwh":0.219}',
  ]);
  assert.deepEqual(partitions, [-1, 0]);
});

Deno.test("replayFiles() sends every row once, in time order, when the file is sorted by meter", async () => {
  const rows = ["a", "b", "c"].flatMap((meter) =>
    [0, 30, 60].map((minutes) => `${meter},${at(minutes)},${minutes}\n`)
  );
  const stream = await replayTexts([HEADER + rows.join("")]);
  const sent = readingsOf(stream).map((record) => JSON.parse(record));
  assert.deepEqual(
    sent.map((reading) => `${reading.meter_id}${reading.consumption_kwh}`),
    ["a0", "b0", "c0", "a30", "b30", "c30", "a60", "b60", "c60"],
  );
  assert.equal(stream.rowsRead, 9);
});

Deno.test("replayFiles() sends a tick a minute, each before what arrives at or after it", async () => {
  const rows = `a,${at(0.5)},1\na,${at(2)},1\na,${at(3.5)},1\n`;
  const { records } = await replayTexts([HEADER + rows], { finalTick: true });
  const times = records.map((record) =>
    `${JSON.parse(record).type ?? "row"} ${JSON.parse(record).timestamp}`
  );
  assert.deepEqual(times, [
    `tick ${at(0)}`,
    `row ${at(0.5)}`,
    `tick ${at(1)}`,
    `tick ${at(2)}`,
    `row ${at(2)}`,
    `tick ${at(3)}`,
    `row ${at(3.5)}`,
    `tick ${at(18.5)}`,
  ]);
  assert.equal(JSON.parse(records.at(-1)!).final, true);
});

Deno.test("replayFiles() ticks through a silence until every meter has expired, then jumps", async () => {
  const options = { stateTtlMs: 3 * MINUTE_MS, judgedAfterMs: MINUTE_MS };
  const before = `a,${at(0)},1\na,${at(0.5)},1\n`;
  // 0.5 + 3 + 1 + 1 = 5.5 minutes must be covered: the tick at 6 covers it.
  const ticks = ticksOf(await replayTexts([`${HEADER}${before}a,${at(90.5)},1\n`], options));
  assert.deepEqual(ticks, [0, 1, 2, 3, 4, 5, 6, 90].map(at));
  for (const [minutes, last] of [[6, [6]], [7, [6, 7]], [8, [6, 8]]] as [number, number[]][]) {
    const short = ticksOf(await replayTexts([`${HEADER}${before}a,${at(minutes)},1\n`], options));
    assert.deepEqual(short, [0, 1, 2, 3, 4, 5, ...last].map(at));
  }
});

Deno.test("replayFiles() sends rows dated after now last, and moves no clock for them", async () => {
  const rows = `a,${at(0)},1\na,2099-01-01T00:00:00Z,1\na,${at(30)},1\n`;
  const stream = await replayTexts([HEADER + rows], {
    finalTick: true,
    delayProbability: 1,
    maxDelayMs: 1000,
  });
  const sent = readingsOf(stream).map((record) => JSON.parse(record));
  assert.deepEqual(sent.map(({ timestamp }) => timestamp), [at(0), at(30), "2099-01-01T00:00:00Z"]);
  assert.equal(sent[2].received_at, undefined);
  assert.equal(ticksOf(stream).at(-1), `${at(45)}!`);
  assert.equal(stream.lastEventTimeMs, START_MS + 30 * MINUTE_MS + 1000);
});

Deno.test("replayFiles() keeps rows without a usable timestamp behind the row before them", async () => {
  const rows = "x,never,1\nb,2013-01-02,1\ny,01/02/2013,1\nz,,1\na,2013-01-01,1\n,yes,\n";
  const stream = await replayTexts([HEADER + rows], { finalTick: true });
  assert.deepEqual(readingsOf(stream).map(withoutOrigin), [
    '{"meter_id":"x","timestamp":"never","consumption_kwh":1}',
    '{"meter_id":"a","timestamp":"2013-01-01T00:00:00Z","consumption_kwh":1}',
    '{"timestamp":"yes"}',
    '{"meter_id":"b","timestamp":"2013-01-02T00:00:00Z","consumption_kwh":1}',
    '{"meter_id":"y","timestamp":"01/02/2013","consumption_kwh":1}',
    '{"meter_id":"z","consumption_kwh":1}',
  ]);
  assert.equal(ticksOf(stream)[0], "2013-01-01T00:00:00Z");
});

Deno.test("replayFiles() orders by received_at where a row has one, and passes it on", async () => {
  const header = "meter_id,timestamp,consumption_kwh,received_at\n";
  const rows = `a,${at(0)},1,${at(90)}\nb,${at(30)},2,\nc,${at(60)},3,soon\n`;
  const stream = await replayTexts([header + rows], { finalTick: true });
  assert.deepEqual(readingsOf(stream), [
    `{"meter_id":"b","timestamp":"${at(30)}","consumption_kwh":2}`,
    `{"meter_id":"c","timestamp":"${at(60)}","consumption_kwh":3}`,
    `{"meter_id":"a","timestamp":"${at(0)}","consumption_kwh":1,"received_at":"${at(90)}"}`,
  ]);
  assert.deepEqual(ticksOf(stream).slice(-2), [at(90), `${at(75)}!`]);
});

Deno.test("replayFiles() moves no clock by a row that claims to arrive after now", async () => {
  const header = "meter_id,timestamp,consumption_kwh,received_at\n";
  const rows = `a,${at(0)},1,\na,2015-01-01,2,2099-01-01T00:00:00Z\na,${at(30)},3,\n`;
  const stream = await replayTexts([header + rows], { finalTick: true });
  assert.equal(readingsOf(stream).length, 3);
  assert.deepEqual(ticksOf(stream).slice(-2), [at(30), `${at(45)}!`]);
});

Deno.test("replayFiles() holds no row back beyond now, where its arrival would not be believed", async () => {
  const options = { delayProbability: 1, maxDelayMs: 3_600_000, nowMs: Date.parse(at(120)) };
  const rows = Array.from({ length: 121 }, (_, minute) => `a,${at(minute)},1\n`).join("");
  const stream = await replayTexts([HEADER + rows], options);
  const received = readingsOf(stream).map((text) => JSON.parse(text).received_at);
  assert.equal(received.length, 121);
  assert.ok(received.filter((time) => time !== undefined).length > 60);
  for (const time of received) assert.ok(time === undefined || Date.parse(time) <= options.nowMs);
});

Deno.test("replayFiles() sends its final tick after the latest row of a good time, whatever its value", async () => {
  const rows = "a,2013-01-01T00:00Z,1\na,2013-01-01T00:30Z,Null\na,2013-01-01T01:00Z,-1\n";
  const faults = ",2013-01-01T01:30Z,1\n\u0001,2013-01-01T01:30Z,1\na,2030-01-01,1\n";
  const stream = await replayTexts([HEADER + rows + faults], { finalTick: true });
  assert.equal(ticksOf(stream).at(-1), "2013-01-01T01:15:00Z!");
});

Deno.test("replayFiles() sends no final tick where no row has a meter and a time", async () => {
  const stream = await replayTexts([`${HEADER}a,never,1\n,2013-01-01,1\n`], { finalTick: true });
  assert.deepEqual(ticksOf(stream), ["2013-01-01T00:00:00Z"]);
  assert.equal((await replayTexts([HEADER], { finalTick: true })).chunks, 0);
});

Deno.test("replayFiles() sends a cut row as its raw text", async () => {
  const rows = `a,2013-01-01,1\n"a,2013-01-02,1\nb,2013-01-03,1\n`;
  const stream = await replayTexts([HEADER + rows], { delayProbability: 1 });
  assert.equal(readingsOf(stream)[1], '"a,2013-01-02,1');
  assert.equal(stream.readings, 3);
});

/** The stream as the brief says it, for rows of one column set: sort, then a loop. */
function expectedRecords(files: readonly string[][], options: ReplayOptions): string[] {
  const rows = files.flatMap((lines) => {
    let keyMs = -Infinity;
    return lines.map((line) => {
      const [meter_id, timestamp] = line.split(",");
      const ms = Date.parse(timestamp);
      if (!Number.isNaN(ms)) keyMs = ms;
      return {
        keyMs,
        isUsable: !Number.isNaN(ms),
        text: JSON.stringify({ meter_id, timestamp, consumption_kwh: 1 }),
      };
    });
  }).sort((a, b) => a.keyMs === b.keyMs ? 0 : a.keyMs - b.keyMs);
  const records: string[] = [];
  const tick = (ms: number, final = {}) =>
    records.push(JSON.stringify({ type: "tick", timestamp: formatTimestamp(ms), ...final }));
  const silenceMs = options.stateTtlMs + options.judgedAfterMs + options.tickMs;
  let tickMs = NaN;
  let lastMs = NaN;
  for (const { keyMs, text } of rows) {
    if (keyMs !== -Infinity && keyMs <= options.nowMs) {
      const floorMs = Math.floor(keyMs / MINUTE_MS) * MINUTE_MS;
      if (Number.isNaN(tickMs)) tick(tickMs = floorMs);
      while (tickMs < floorMs) {
        tickMs = tickMs >= lastMs + silenceMs ? floorMs : tickMs + MINUTE_MS;
        tick(tickMs);
      }
      lastMs = keyMs;
    }
    records.push(text);
  }
  const usable = rows.filter(({ keyMs, isUsable }) => isUsable && keyMs <= options.nowMs);
  if (usable.length > 0) tick(usable.at(-1)!.keyMs + options.judgedAfterMs, { final: true });
  return records;
}

Deno.test("replayFiles() equals a plain sort and loop, however little memory it sorts in", async () => {
  const minutes = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 200 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 50_000 }) },
    { weight: 1, arbitrary: fc.constant(-1) },
  );
  const line = fc.tuple(fc.constantFrom("a", "b", "MAC000003"), minutes).map(([meter, minutes]) =>
    `${meter},${minutes < 0 ? "bad" : at(minutes / 2)},1`
  );
  const time = (line: string) => line.split(",")[1];
  const inOrder = (lines: string[]) =>
    lines.toSorted((a, b) => Number(time(a) > time(b)) - Number(time(a) < time(b)));
  const file = fc.tuple(fc.array(line, { maxLength: 30 }), fc.boolean())
    .map(([lines, isOrdered]) => isOrdered ? inOrder(lines) : lines);
  const sortBytesMax = fc.integer({ min: 1, max: 4000 });
  const fanInMax = fc.integer({ min: 2, max: 5 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { maxLength: 9 }),
      sortBytesMax,
      fanInMax,
      async (files, sortBytesMax, fanInMax) => {
        const options = {
          ...PLAIN,
          // Whatever the order, no two readings meet in one slot.
          judging: { ...JUDGING, expectedIntervalMs: 1000 },
          nowMs: START_MS + 10 * DAY_MS,
          stateTtlMs: HOUR_MS,
          finalTick: true,
          sortBytesMax,
          fanInMax,
        };
        const texts = files.map((lines) => HEADER + lines.map((line) => `${line}\n`).join(""));
        const { records, rowsRead } = await replayTexts(texts, options);
        assert.deepEqual(records.map(withoutOrigin), expectedRecords(files, options));
        assert.equal(rowsRead, files.flat().length);
      },
    ),
    { numRuns: 150 },
  );
});

/** A week of 20 meters, sorted by meter. */
function weekOfMeters(): string {
  const lines: string[] = [];
  for (let meter = 0; meter < 20; meter++) {
    for (let slot = 0; slot < 336; slot++) {
      lines.push(`M${meter},${at(slot * 30)},${(meter + slot) / 100}\n`);
    }
  }
  return HEADER + lines.join("");
}

Deno.test("replayFiles() gives the same chunks for the same seed, whatever memory it sorts in", async () => {
  const options = { gapProbability: 0.05, delayProbability: 0.1, duplicateProbability: 0.02 };
  const first = await replayTexts([weekOfMeters()], { ...options, partitions: 7 });
  for (const sortBytesMax of [20_000, 100_000]) {
    const again = await replayTexts([weekOfMeters()], { ...options, partitions: 7, sortBytesMax });
    assert.deepEqual(again, first);
  }
  assert.ok(first.chunks > 1);
  const other = await replayTexts([weekOfMeters()], { ...options, partitions: 7, seed: 2 });
  assert.notDeepEqual(other.records, first.records);
});

Deno.test("replayFiles() loses no row but those it counts as gaps, and adds only counted repeats", async () => {
  const chances = fc.constantFrom(0, 0.01, 0.2, 1);
  const text = weekOfMeters();
  const plain = new Set(readingsOf(await replayTexts([text])));
  await fc.assert(
    fc.asyncProperty(chances, chances, chances, fc.nat(), async (gap, delay, duplicate, seed) => {
      const stream = await replayTexts([text], {
        gapProbability: gap,
        delayProbability: delay,
        duplicateProbability: duplicate,
        seed,
      });
      const sent = readingsOf(stream);
      assert.equal(stream.readings, sent.length);
      assert.equal(sent.length, stream.rowsRead + stream.duplicates - stream.gaps);
      assert.equal(stream.rowsRead, plain.size);
      const distinct = new Set(sent.map((text) => text.replace(/,"received_at":"[^"]*"/, "")));
      assert.equal(distinct.size, plain.size - stream.gaps);
      assert.ok(distinct.isSubsetOf(plain));
      assert.equal(
        sent.filter((text) => text.includes("received_at")).length > 0,
        stream.delays > 0,
      );
      for (const [chance, count] of [[gap, stream.gaps], [duplicate, stream.duplicates]]) {
        if (chance === 0) assert.equal(count, 0);
      }
      if (gap === 1) assert.equal(sent.length, 0);
      if (gap === 0 && delay === 1) assert.equal(stream.delays, plain.size);
    }),
    { numRuns: 12 },
  );
});

Deno.test("replayFiles() delays by whole seconds up to the limit, in order of arrival", async () => {
  const stream = await replayTexts([weekOfMeters()], {
    delayProbability: 0.3,
    duplicateProbability: 0.1,
    maxDelayMs: 3_600_000,
  });
  let lastMs = -Infinity;
  const delays = new Set<number>();
  for (const record of stream.records) {
    const { type, timestamp, received_at } = JSON.parse(record);
    const arrivalMs = Date.parse(received_at ?? timestamp);
    assert.ok(arrivalMs >= lastMs, record);
    if (type === undefined) lastMs = arrivalMs;
    if (received_at === undefined) continue;
    const delayMs = arrivalMs - Date.parse(timestamp);
    assert.ok(delayMs >= 1000 && delayMs <= 3_600_000 && delayMs % 1000 === 0);
    delays.add(delayMs);
  }
  assert.ok(delays.size > 1000);
});

Deno.test("replayFiles() repeats a record right behind itself, delayed or not", async () => {
  const stream = await replayTexts([weekOfMeters()], {
    delayProbability: 0.5,
    duplicateProbability: 1,
  });
  const sent = readingsOf(stream);
  for (let i = 0; i < sent.length; i += 2) assert.equal(sent[i], sent[i + 1]);
});

Deno.test("replayFiles() draws gaps independently of the other probabilities", async () => {
  const meters = (records: string[]) => new Set(records.map((text) => text.slice(0, 60)));
  const alone = await replayTexts([weekOfMeters()], { gapProbability: 0.1 });
  const mixed = await replayTexts([weekOfMeters()], {
    gapProbability: 0.1,
    delayProbability: 0.5,
    duplicateProbability: 0.5,
  });
  assert.deepEqual(
    [...meters(readingsOf(mixed))].sort(),
    [...meters(readingsOf(alone))].sort(),
  );
});

Deno.test("replayFiles() removes its spilled runs at the end, and when it is stopped early", async () => {
  await inDirectory(async (directory) => {
    const paths = writeFiles(directory, [weekOfMeters()]);
    const spill = `${directory}/spill`;
    const options = { ...PLAIN, temporaryDirectory: spill, sortBytesMax: 20_000, fanInMax: 4 };
    const inspection = await inspectFiles(paths, options);
    assert.equal(inspection.isOrdered, false);
    let wasSpilled = false;
    for await (const _ of replayFiles(inspection, options)) {
      wasSpilled = [...Deno.readDirSync(spill)].length === 1;
      break;
    }
    assert.ok(wasSpilled);
    assert.deepEqual([...Deno.readDirSync(spill)], []);
    await collect(replayFiles(inspection, options));
    assert.deepEqual([...Deno.readDirSync(spill)], []);
    const signal = AbortSignal.abort(new Error("stopped"));
    await assert.rejects(collect(replayFiles(inspection, { ...options, signal })), /stopped/);
    assert.deepEqual([...Deno.readDirSync(spill)], []);
  });
});

Deno.test("replayFiles() spills nothing when every file is in order", async () => {
  await inDirectory(async (directory) => {
    const files = ["a", "b", "c"].map((meter) => `${HEADER}${meter},${at(0)},1\n`);
    const options = { ...PLAIN, temporaryDirectory: `${directory}/spill`, sortBytesMax: 1 };
    const inspection = await inspectFiles(writeFiles(directory, files), options);
    assert.equal((await collect(replayFiles(inspection, options))).readings, 3);
    assert.throws(() => Deno.statSync(`${directory}/spill`), Deno.errors.NotFound);
  });
});

Deno.test("replayFiles() says so when a file is no longer as it was inspected", async () => {
  await inDirectory(async (directory) => {
    const [path] = writeFiles(directory, [`${HEADER}a,${at(0)},1\n`]);
    const options = { ...PLAIN, temporaryDirectory: directory };
    const inspection = await inspectFiles([path], options);
    Deno.writeTextFileSync(path, `${HEADER}a,${at(9)},1\na,${at(1)},1\n`);
    await assert.rejects(collect(replayFiles(inspection, options)), {
      name: "ReadError",
      message: `Cannot read "${path}": it changed while it was being replayed`,
    });
  });
});

Deno.test("replayFiles() refuses an option out of its range", async () => {
  const table: [Partial<ReplayOptions>, string][] = [
    [{ gapProbability: 1.5 }, 'gapProbability="1.5": must be a number from 0 to 1'],
    [{ delayProbability: -0.1 }, 'delayProbability="-0.1": must be a number from 0 to 1'],
    [{ duplicateProbability: NaN }, 'duplicateProbability="NaN": must be a number from 0 to 1'],
    [{ delayProbability: 1, maxDelayMs: 999 }, 'maxDelayMs="999": must be 1000 or more'],
    [{ tickMs: 0 }, 'tickMs="0": must be a number > 0'],
    [{ partitions: 0 }, 'partitions="0": must be a whole number from 1 to 32767'],
    [{ fanInMax: 1 }, 'fanInMax="1": must be a whole number >= 2'],
  ];
  for (const [options, message] of table) {
    await assert.rejects(
      replayTexts([HEADER], options),
      (error: Error) => error.message.startsWith(`Cannot replay with ${message}`),
    );
  }
});
