/** Local times: the hour that comes twice, and the one that never is. */
import assert from "node:assert/strict";
import { formatTimestamp } from "../../src/core/time.ts";
import { buildZone, utcToLocalMs } from "../../src/core/zone.ts";
import { type Played, playTexts } from "./play.ts";

const MINUTE_MS = 60_000;
const HEADER = "meter_id,timestamp,consumption_kwh\n";

type Row = {
  readonly at: string;
  readonly meter: string;
  readonly label: string;
  readonly kwh: number;
};

/** Rows of a meter at every instant of a span, with their local times; all values differ. */
function rowsOf(
  meter: string,
  { from, to, minutes, zone }: { from: string; to: string; minutes: number; zone: string },
): Row[] {
  const rows: Row[] = [];
  const built = buildZone(zone);
  for (let ms = Date.parse(from); ms < Date.parse(to); ms += minutes * MINUTE_MS) {
    const label = formatTimestamp(utcToLocalMs(built, ms)).slice(0, 19).replace("T", " ");
    rows.push({
      at: formatTimestamp(ms),
      meter,
      label,
      kwh: (rows.length + 1) * 7919 % 10_007 / 1000,
    });
  }
  return rows;
}

const file = (rows: readonly Row[]) =>
  HEADER + rows.map(({ meter, label, kwh }) => `${meter},${label},${kwh}\n`).join("");

const play = (texts: readonly string[], timezone: string) =>
  playTexts(texts, { settings: { timezone } });

/** The gaps that stand: not those that were taken back. */
const standing = ({ gaps }: Played) => gaps.filter((gap) => !gap.endsWith(" 0 FILLED"));

/** What was accepted, a line a reading: at its instant with its value. */
const accepted = ({ validated }: Played) =>
  validated.map(({ meterId, at, kwh }) => `${meterId} ${at} ${kwh}`).sort();
const written = (rows: readonly Row[]) =>
  rows.map(({ meter, at, kwh }) => `${meter} ${at} ${kwh}`).sort();
const codes = ({ inspection }: Played) =>
  inspection.warnings.map(({ code }) => code).filter((code) => code !== "unjudged");

const AUTUMN = {
  from: "2013-10-26T00:00:00Z",
  to: "2013-10-28T12:00:00Z",
  minutes: 30,
  zone: "Europe/London",
};
const isSecond = ({ at }: Row) => at >= "2013-10-27T01:00:00Z" && at < "2013-10-27T02:00:00Z";
const isFirst = ({ at }: Row) => at >= "2013-10-27T00:00:00Z" && at < "2013-10-27T01:00:00Z";

Deno.test("a file's order says which of two equal hours each of its rows means", async () => {
  const zones: [string, string, string][] = [
    ["Europe/London", "2013-10-26T00:00:00Z", "2013-10-28T12:00:00Z"],
    ["America/New_York", "2021-11-06T00:00:00Z", "2021-11-08T00:00:00Z"],
    ["Australia/Lord_Howe", "2024-04-05T00:00:00Z", "2024-04-08T00:00:00Z"],
    ["America/Havana", "2023-11-04T00:00:00Z", "2023-11-07T00:00:00Z"],
  ];
  for (const [zone, from, to] of zones) {
    // The zone of Lord Howe goes back by half an hour.
    for (const minutes of zone === "Australia/Lord_Howe" ? [5, 15, 30] : [5, 15, 30, 60]) {
      const a = rowsOf("A", { from, to, minutes, zone });
      const b = rowsOf("B", { from, to, minutes, zone });
      const byTime = a.flatMap((row, r) => [row, b[r]]);
      const orders: Record<string, Row[]> = {
        "oldest first": byTime,
        "newest first": byTime.toReversed(),
        "by meter": [...a, ...b],
        "by meter, newest first": [...a.toReversed(), ...b.toReversed()],
      };
      for (const [order, rows] of Object.entries(orders)) {
        const played = await play([file(rows)], zone);
        const what = `${zone} ${minutes} ${order}`;
        assert.deepEqual(accepted(played), written(byTime), what);
        assert.deepEqual(played.gaps, [], what);
        assert.deepEqual(codes(played), [], what);
      }
      const streamed = await play([file(byTime)], zone);
      assert.equal(streamed.inspection.isOrdered, true, `${zone} ${minutes} is streamed`);
    }
  }
});

Deno.test("a file put together of two copies repeats its doubled hour, and contradicts nothing", async () => {
  const rows = rowsOf("A", AUTUMN);
  for (const copies of [[rows, rows], [rows.toReversed(), rows.toReversed()]]) {
    const played = await play([copies.map(file).join("")], AUTUMN.zone);
    assert.deepEqual(accepted(played), written(rows));
    assert.deepEqual(played.counts, { OK: rows.length, DUPLICATE: rows.length });
    assert.deepEqual(standing(played), []);
  }
});

Deno.test("rows that are all sent twice are of their hours, or of the one that is there", async () => {
  const rows = rowsOf("A", AUTUMN);
  for (const sent of [rows, rows.filter((row) => !isSecond(row))]) {
    const played = await play([file(sent.flatMap((row) => [row, row]))], AUTUMN.zone);
    assert.deepEqual(accepted(played), written(sent));
    assert.deepEqual(played.counts, { OK: sent.length, DUPLICATE: sent.length });
    assert.deepEqual(standing(played), []);
  }
});

Deno.test("of a doubled hour whose order says nothing no row is a gap or a conflict, and that is told", async () => {
  const rows = rowsOf("A", AUTUMN);
  const byLabel = rows.toSorted((a, b) => a.label < b.label ? -1 : a.label > b.label ? 1 : 0);
  const shuffled = rows.map((row, r) => [(r * 7919) % 10_007, row] as const)
    .sort(([a], [b]) => a - b).map(([, row]) => row);
  for (const unordered of [byLabel, byLabel.toReversed(), shuffled]) {
    const played = await play([file(unordered)], AUTUMN.zone);
    assert.deepEqual(played.counts, { OK: rows.length });
    assert.deepEqual(standing(played), []);
    const [warning] = played.inspection.warnings;
    assert.equal(warning.code, "clock_artefact");
    assert.match(warning.text, /of 4 rows in the hour that Europe\/London had twice/);
    assert.deepEqual(warning.meters, ["A"]);
  }
});

Deno.test("an hour that a source shows once is taken out of what is expected, and told", async () => {
  for (const [minutes, skipped] of [[10, 6], [15, 4], [30, 2], [60, 1]]) {
    const all = rowsOf("A", { ...AUTUMN, minutes });
    const rows = all.filter((row) => !isSecond(row));
    const orders = [
      rows,
      rows.toReversed(),
      rows.toSorted((a, b) => a.kwh % 0.007 - b.kwh % 0.007),
    ];
    for (const order of orders) {
      const played = await play([file(order)], AUTUMN.zone);
      assert.deepEqual(played.counts, { OK: rows.length }, `${minutes} minutes`);
      assert.deepEqual(standing(played), []);
      const said = played.records.filter((record) => record.includes("skipped_intervals"));
      assert.equal(said.length, 1);
      assert.equal(JSON.parse(said[0]).timestamp, "2013-10-27T02:00:00Z");
      assert.equal(JSON.parse(said[0]).skipped_intervals, skipped);
      assert.deepEqual(codes(played), ["clock_artefact"]);
    }
  }
});

Deno.test("an hour that another meter of the file shows twice is missing, not skipped", async () => {
  const a = rowsOf("A", AUTUMN);
  const b = rowsOf("B", AUTUMN).filter((row) => !isSecond(row));
  const played = await play([file([...a, ...b])], AUTUMN.zone);
  assert.deepEqual(played.gaps, ["B@2013-10-27T01:00:00Z 2 CLOSED"]);
  assert.deepEqual(codes(played), []);
});

Deno.test("a reading lost in a doubled hour is missing where it was lost", async () => {
  const rows = rowsOf("A", AUTUMN);
  for (const lost of rows.filter((row) => isFirst(row) || isSecond(row))) {
    for (const isNewestFirst of [false, true]) {
      const left = rows.filter((row) => row !== lost);
      const played = await play([file(isNewestFirst ? left.toReversed() : left)], AUTUMN.zone);
      assert.deepEqual(played.counts, { OK: left.length }, lost.at);
      assert.equal(played.gaps.length, 1, lost.at);
    }
  }
});

Deno.test("an unusable value in a doubled hour marks its own slot", async () => {
  const rows = rowsOf("A", AUTUMN);
  const { kwh } = rows.find(({ at }) => at === "2013-10-27T01:30:00Z") ?? assert.fail();
  const text = file(rows).replace(`01:30:00,${kwh}\n`, "01:30:00,Null\n");
  const played = await play([text], AUTUMN.zone);
  assert.deepEqual(played.gaps, ["A@2013-10-27T01:30:00Z 1 CLOSED rejected 1"]);
});

Deno.test("a local time that its zone skips is refused, and takes no reading's slot", async () => {
  const rows = rowsOf("A", {
    from: "2013-03-30T00:00:00Z",
    to: "2013-04-01T00:00:00Z",
    minutes: 30,
    zone: "Europe/London",
  });
  const ghosts = ["01:00:00", "01:30:00"].map((time) => `A,2013-03-31 ${time},9\n`).join("");
  const text = file(rows);
  const at = text.indexOf("A,2013-03-31 02:00:00");
  assert.ok(at > 0);
  for (const withGhosts of [text.slice(0, at) + ghosts + text.slice(at), text + ghosts]) {
    const played = await play([withGhosts], "Europe/London");
    assert.deepEqual(accepted(played), written(rows));
    assert.deepEqual(played.counts, { OK: rows.length, BAD_TIMESTAMP: 2 });
    assert.deepEqual(standing(played), []);
    assert.match(JSON.parse(played.rejected[0].raw).timestamp, /^2013-03-31 01:/);
    const [{ problem, rows: count }] = played.inspection.problems;
    assert.deepEqual([problem, count], ["a local time that its zone skips", 2]);
  }
});

Deno.test("daily and monthly readings of local midnights know no 25th hour", async () => {
  const days = Array.from(
    { length: 40 },
    (_, day) => `A,${formatTimestamp(Date.UTC(2013, 9, 5 + day)).slice(0, 10)} 00:00:00,1\n`,
  );
  const months = Array.from(
    { length: 30 },
    (_, month) => `M,${formatTimestamp(Date.UTC(2012, month, 1)).slice(0, 10)},1\n`,
  );
  for (const zone of ["Europe/London", "America/Havana", "Australia/Lord_Howe", "UTC"]) {
    for (const rows of [days, months]) {
      const played = await play([HEADER + rows.join("")], zone);
      assert.deepEqual(played.counts, { OK: rows.length }, zone);
      assert.deepEqual(played.gaps, [], zone);
      assert.deepEqual(codes(played), zone === "UTC" ? ["no_offset"] : [], zone);
    }
  }
});

Deno.test("a month that is missing is one gap, wherever it lies among few others", async () => {
  for (let lost = 1; lost < 8; lost++) {
    const months = Array.from({ length: 9 }, (_, month) => Date.UTC(2020, month))
      .filter((_, month) => month !== lost)
      .map((ms) => `M,${formatTimestamp(ms).slice(0, 10)},1\n`);
    const played = await play([HEADER + months.join("")], "Europe/London");
    assert.deepEqual(played.counts, { OK: 8 });
    assert.equal(standing(played).length, 1, `month ${lost}`);
    assert.match(standing(played)[0], / 1 CLOSED$/);
  }
});

Deno.test("times with an offset are as they say, in whatever zone, and nothing is announced", async () => {
  const rows = Array.from({ length: 20 }, (_, slot) => {
    const ms = Date.parse("2013-10-26T20:00:00Z") + slot * 30 * MINUTE_MS;
    return `A,${formatTimestamp(ms + 120 * MINUTE_MS).replace("Z", "+02:00")},1\n`;
  });
  const played = await play([HEADER + rows.join("")], "Europe/London");
  assert.deepEqual([played.counts, played.gaps, codes(played)], [{ OK: 20 }, [], []]);
});
