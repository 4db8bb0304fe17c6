import assert from "node:assert/strict";
import { buildZone } from "../../src/core/zone.ts";
import { DAY_MS, HOUR_MS, startHarness } from "./harness.ts";

const LONDON = { zone: buildZone("Europe/London"), allowedLatenessMs: 2 * HOUR_MS };

type Core = ReturnType<typeof startHarness>;

/** A reading with its local time, as a producer writes it that sends no offset. */
const send = (core: Core, local: string, kwh = 1, meter = "M1"): string =>
  core.record(`{"meter_id":"${meter}","timestamp":"${local}","consumption_kwh":${kwh}}`);

/** The instants of what was accepted since it was last asked. */
const accepted = (core: Core): string[] =>
  core.readOutputs().validated.map(({ timestampMs }) =>
    new Date(timestampMs).toISOString().slice(5, 16)
  );

const halfHours = (...hours: string[]): string[] => hours.flatMap((h) => [`${h}:00`, `${h}:30`]);

Deno.test("In autumn a local time means the earlier of its instants whose slot is free", () => {
  const core = startHarness(LONDON);
  for (const time of halfHours("00", "01", "01", "02")) send(core, `2024-10-27T${time}`);
  assert.deepEqual(accepted(core), [
    ...["10-26T23:00", "10-26T23:30", "10-27T00:00", "10-27T00:30"],
    ...["10-27T01:00", "10-27T01:30", "10-27T02:00", "10-27T02:30"],
  ]);
  assert.deepEqual(core.readGaps(), []);
  assert.equal(send(core, "2024-10-27T01:30", 1), "DUPLICATE", "both are taken: it is the earlier");
  const [{ timestampMs }] = core.readOutputs().rejected;
  assert.equal(timestampMs, Date.UTC(2024, 9, 27, 0, 30));
});

Deno.test("In autumn the later instant is meant where the earlier one is too late", () => {
  const core = startHarness({ ...LONDON, allowedLatenessMs: 30 * 60_000 });
  send(core, "2024-10-27T00:30");
  core.record(`{"type":"tick","timestamp":"2024-10-27T01:00:00Z"}`);
  assert.equal(send(core, "2024-10-27T01:00"), "OK");
  assert.deepEqual(accepted(core), ["10-26T23:30", "10-27T01:00"]);
});

Deno.test("In autumn a meter that learns, or is new, takes the hour as it comes", () => {
  const core = startHarness({ ...LONDON, expectedIntervalMs: "auto" });
  for (const time of halfHours("01", "01", "02")) send(core, `2024-10-27T${time}`);
  assert.deepEqual(accepted(core), [
    ...["10-27T00:00", "10-27T00:30", "10-27T01:00", "10-27T01:30"],
    ...["10-27T02:00", "10-27T02:30"],
  ]);
});

Deno.test("In spring a local time that the zone skips takes no reading's slot", () => {
  const core = startHarness(LONDON);
  for (const time of halfHours("00", "01", "02", "03")) send(core, `2024-03-31T${time}`);
  const { validated, rejected, gaps } = core.readOutputs();
  assert.deepEqual(rejected.map(({ reason, detail }) => [reason, detail]), [
    [
      "BAD_TIMESTAMP",
      'timestamp is "2024-03-31T01:00", a local time that Europe/London skips',
    ],
    [
      "BAD_TIMESTAMP",
      'timestamp is "2024-03-31T01:30", a local time that Europe/London skips',
    ],
  ]);
  assert.equal(validated.length, 6);
  assert.deepEqual(gaps, [], "the day has 46 half hours");
});

Deno.test("Daily totals make no gap on a day of 23 or 25 hours", () => {
  for (const first of ["2024-03-25", "2024-10-21"]) {
    for (const expectedIntervalMs of [DAY_MS, "auto"] as const) {
      const core = startHarness({ ...LONDON, expectedIntervalMs, stateTtlMs: 60 * DAY_MS });
      const firstMs = Date.parse(first);
      for (let day = 0; day < 14; day++) {
        const date = new Date(firstMs + day * DAY_MS).toISOString().slice(0, 10);
        assert.equal(send(core, date), "OK", date);
      }
      assert.deepEqual(core.readGaps(), [], `${first}, ${expectedIntervalMs}`);
      assert.equal(core.processor.meters.intervalMs[0], DAY_MS);
      const later = new Date(firstMs + 16 * DAY_MS).toISOString().slice(0, 10);
      send(core, later);
      const { gaps } = core.readOutputs();
      assert.deepEqual(gaps.map(({ missingIntervals }) => missingIntervals), [2]);
    }
  }
});

Deno.test("Labels up to 24:00 are the ends of a day's half hours, without a gap", () => {
  const core = startHarness(LONDON);
  for (let half = 1; half <= 48; half++) {
    const hour = String(Math.floor(half / 2)).padStart(2, "0");
    assert.equal(send(core, `2024-01-01T${hour}:${half % 2 === 0 ? "00" : "30"}`), "OK");
  }
  assert.equal(send(core, "2024-01-02T00:30"), "OK");
  assert.deepEqual(core.readGaps(), []);
});
