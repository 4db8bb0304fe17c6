import assert from "node:assert/strict";
import {
  createProgress,
  formatCount,
  type Progress,
  type ProgressOptions,
} from "../../src/console/progress.ts";

type Stage = { progress: Progress; written: string[]; at: (ms: number) => void };

function stage(over: Partial<ProgressOptions> = {}): Stage {
  const written: string[] = [];
  let clockMs = 5_000;
  const progress = createProgress({
    verb: "replaying",
    rowsTotal: 1_000_000,
    nowMs: () => clockMs,
    write: (text) => void written.push(text),
    isTerminal: true,
    columns: () => 120,
    ...over,
  });
  return { progress, written, at: (ms) => void (clockMs = 5_000 + ms) };
}

const EVENT_MS = Date.UTC(2013, 3, 2, 10, 30);

Deno.test("createProgress() shows rows, share, rate, time left and event time on one line", () => {
  const { progress, written, at } = stage();
  at(2_000);
  progress.update(250_000, EVENT_MS);
  assert.deepEqual(written, [
    "\rreplaying 250,000 of 1,000,000 rows  25 %  125,000/s  6 s left  at 2013-04-02T10:30:00Z",
  ]);
});

Deno.test("createProgress() redraws at most ten times a second, however often it is told", () => {
  const { progress, written, at } = stage();
  for (let ms = 0; ms < 3_000; ms++) {
    at(ms);
    progress.update(ms);
  }
  assert.equal(written.length, 30);
  assert.ok(written.every((text) => text.startsWith("\r") && !text.includes("\n")));
});

Deno.test("createProgress() covers a longer line by blanks when the next is shorter", () => {
  const { progress, written, at } = stage({ rowsTotal: null });
  progress.update(1_000_000, EVENT_MS);
  at(1_000);
  progress.update(1_000_000);
  at(2_000);
  progress.clear();
  const [first, second, last] = written;
  assert.ok(second.length >= first.length);
  assert.match(last, /^\r +\r$/);
  assert.ok(last.length - 1 >= second.trimEnd().length);
});

Deno.test("createProgress() cuts the line one short of the terminal's width, asked at each redraw", () => {
  let columns = 40;
  const { progress, written, at } = stage({ columns: () => columns });
  at(1_000);
  progress.update(1_000, EVENT_MS);
  columns = 20;
  at(2_000);
  progress.update(2_000, EVENT_MS);
  assert.equal(written[0].length, 1 + 39);
  assert.equal(written[1].trimEnd(), "\rreplaying 2,000 of");
});

Deno.test("createProgress() takes 80 columns for a terminal that says it has none", () => {
  const { progress, written, at } = stage({ columns: () => 0 });
  at(1_000);
  progress.update(1_000, EVENT_MS);
  assert.equal(written[0].length, 1 + 79);
});

Deno.test("createProgress() shows the rate of the last seconds, not of the whole run", () => {
  const { progress, written, at } = stage();
  for (let ms = 0; ms <= 20_000; ms += 100) {
    at(ms);
    progress.update(ms <= 10_000 ? ms * 10 : 100_000 + (ms - 10_000) * 2);
  }
  assert.match(written.at(-1)!, / {2}2,000\/s {2}/);
  progress.finish();
  assert.match(written.at(-2)!, / {2}6,000\/s {2}/);
  assert.equal(written.at(-1), "\n");
});

Deno.test("createProgress() does not count what was done before the start into the rate", () => {
  const { progress, written, at } = stage({ rowsAtStart: 900_000 });
  at(1_000);
  progress.update(901_000);
  assert.match(written[0], /901,000 of 1,000,000 rows {2}90 % {2}1,000\/s {2}1 min 39 s left/);
});

Deno.test("createProgress() keeps the last event time when an update has none", () => {
  const { progress, written, at } = stage();
  progress.update(1, EVENT_MS);
  at(500);
  progress.update(2);
  assert.match(written[1], /at 2013-04-02T10:30:00Z/);
});

Deno.test("createProgress() without a total shows neither a share nor the time left", () => {
  const { progress, written, at } = stage({ rowsTotal: null });
  at(1_000);
  progress.update(500);
  assert.equal(written[0], "\rreplaying 500 rows  500/s");
});

Deno.test("createProgress() says no time left while standing still, when done, and past its total", () => {
  for (const rows of [0, 1_000_000, 1_500_000]) {
    const { progress, written, at } = stage();
    at(1_000);
    progress.update(rows);
    assert.ok(!written[0].includes("left"), written[0]);
    assert.ok(!written[0].includes("150 %"), written[0]);
  }
  const { progress, written } = stage({ rowsTotal: 0 });
  progress.update(0);
  assert.equal(written[0], "\rreplaying 0 of 0 rows");
});

Deno.test("createProgress() writes a line of a log every ten seconds where there is no terminal", () => {
  const { progress, written, at } = stage({ isTerminal: false });
  for (let ms = 0; ms <= 25_000; ms += 50) {
    at(ms);
    progress.update(ms);
  }
  progress.clear();
  assert.equal(written.length, 2);
  progress.finish();
  assert.equal(written.length, 3);
  assert.ok(written.every((text) => /^replaying [^\r\n]+\n$/.test(text)));
});

Deno.test("createProgress() writes nothing when silent", () => {
  const { progress, written, at } = stage({ isSilent: true });
  at(60_000);
  progress.update(1);
  progress.clear();
  progress.finish();
  assert.deepEqual(written, []);
});

Deno.test("formatCount() groups thousands", () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(formatCount), ["0", "999", "1,000", "1,234,567"]);
});

Deno.test("createProgress() asks for the total at each redraw, where it is a function", () => {
  const written: string[] = [];
  let nowMs = 0;
  let total: number | null = null;
  const progress = createProgress({
    verb: "auditing",
    rowsTotal: () => total,
    nowMs: () => nowMs,
    write: (text) => written.push(text),
    isTerminal: true,
  });
  progress.update(10);
  nowMs = 1000;
  total = 200;
  progress.update(100);
  assert.match(written[0], /auditing 10 rows/);
  assert.match(written[1], /auditing 100 of 200 rows {2}50 % .* left/);
});
