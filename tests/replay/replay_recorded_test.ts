import assert from "node:assert/strict";
import { partitionOf } from "../../src/replay/partitioner.ts";
import type { ReplayOptions } from "../../src/replay/records.ts";
import { replayRecorded } from "../../src/replay/replay_recorded.ts";
import { collect, HEADER, inDirectory, PLAIN, replayTexts, type Stream } from "./fixture.ts";

function replayText(text: string, options: Partial<ReplayOptions> = {}): Promise<Stream> {
  return inDirectory((directory) => {
    const path = `${directory}/raw.jsonl`;
    Deno.writeTextFileSync(path, text);
    return collect(replayRecorded(path, { ...PLAIN, ...options }));
  });
}

const TICK = '{"type":"tick","timestamp":"2013-01-01T00:01:00Z"}';
const READING = '{"meter_id":"a","timestamp":"2013-01-01T00:00:00Z","consumption_kwh":1}';

Deno.test("replayRecorded() passes lines on as they stand, in the file's order", async () => {
  const lines = [
    TICK,
    READING,
    READING,
    "not json",
    '{"timestamp":"2013-01-01T00:02:00Z","type":"tick"}',
    '{ "consumption_kwh": "1.5", "meter_id": "b", "timestamp": 1356998400 }',
    "[]",
  ];
  const stream = await replayText(lines.join("\n"));
  assert.deepEqual(stream.records, lines);
  assert.equal(stream.readings, 5);
  assert.equal(stream.rowsRead, 7);
  assert.equal(stream.lastEventTimeMs, Date.parse("2013-01-01T00:02:00Z"));
  assert.deepEqual((await replayText(lines.join("\r\n") + "\r\n")).records, lines);
});

Deno.test("replayRecorded() sends ticks everywhere, and a meter where its id belongs", async () => {
  const id = (text: string) => partitionOf(new TextEncoder().encode(text), 12);
  const rows: [string, number][] = [
    [TICK, -1],
    ['{"timestamp":"2013-01-01","type":"tick"}', -1],
    [READING, id("a")],
    [READING.replace('"a"', '" a "'), id("a")],
    [READING.replace('"a"', '"\\u0061"'), id("a")],
    [READING.replace('"a"', '"é"'), id("é")],
    [READING.replace('"a"', "17"), id("17")],
    ['{"meter_id":"a"}', id("a")],
    ["garbage", 0],
    ['{"meter_id":null}', 0],
  ];
  const stream = await replayText(rows.map(([row]) => `${row}\n`).join(""), { partitions: 12 });
  assert.deepEqual(stream.partitions, rows.map(([, partition]) => partition));
});

Deno.test("replayRecorded() passes over blank lines and keeps a last line without an end", async () => {
  const stream = await replayText(`\n  \n${READING}\n\r\n\n${TICK}`);
  assert.deepEqual(stream.records, [READING, TICK]);
  assert.equal((await replayText("\n\n")).chunks, 0);
});

Deno.test("replayRecorded() passes over a byte order mark at the file's start alone", async () => {
  const owner = partitionOf(new TextEncoder().encode("a"), 12);
  assert.notEqual(owner, 0);
  const stream = await replayText(`\ufeff${READING}\n\ufeff${READING}`, { partitions: 12 });
  assert.deepEqual(stream.partitions, [owner, 0], "the second is no reading");
});

Deno.test("replayRecorded() cuts a line over the limit, and goes on after it", async () => {
  const recordBytesMax = 100;
  const fits = "x".repeat(100);
  const long = "y".repeat(1_000_000);
  const lines = [fits, long, READING, `${fits}x`, TICK, long];
  const stream = await replayText(lines.join("\n"), { recordBytesMax });
  assert.deepEqual(stream.records, [
    fits,
    long.slice(0, 100),
    READING,
    fits,
    TICK,
    long.slice(0, 100),
  ]);
});

Deno.test("replayRecorded() adds a final tick where asked for and the recording has none", async () => {
  const final = '{"type":"tick","timestamp":"2013-01-01T00:15:00Z","final":true}';
  const late = READING.replace("2013", "2099");
  const claim = READING.replace("2013", "2020").replace("}", ',"received_at":"2099-01-01"}');
  const options = { finalTick: true };
  const added = await replayText(`${READING}\n${late}\n${claim}\n${TICK}\n`, options);
  assert.deepEqual(added.records, [READING, late, claim, TICK, final]);
  assert.deepEqual((await replayText(`${READING}\n${final}\n`, options)).records, [READING, final]);
  assert.deepEqual((await replayText(`${READING}\n`)).records, [READING]);
  assert.deepEqual((await replayText(`${TICK}\nx\n`, options)).records, [TICK, "x"]);
});

Deno.test("replayRecorded() replays what replayFiles() sent, record for record", async () => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `m${i % 9},${1356998400 + i * 600},1\n`);
  const options = { partitions: 5, finalTick: true, delayProbability: 0.2, gapProbability: 0.1 };
  const sent = await replayTexts([HEADER + lines.join("")], options);
  const again = await replayText(sent.records.join("\n"), options);
  assert.deepEqual(again.records, sent.records);
  assert.deepEqual(again.partitions, sent.partitions);
  assert.equal(again.readings, sent.readings);
});

Deno.test("replayRecorded() says what is wrong with a file it cannot read", async () => {
  await inDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/empty.jsonl`, "");
    for (const [name, message] of [["x", "there is no such file"], ["empty", "it is empty"]]) {
      const path = `${directory}/${name}.jsonl`;
      await assert.rejects(collect(replayRecorded(path, PLAIN)), {
        name: "ReadError",
        message: `Cannot read "${path}": ${message}`,
      });
    }
  });
});
