import assert from "node:assert/strict";
import fc from "fast-check";
import { buildZone, localToUtcMs, type Zone } from "../../src/core/zone.ts";

const LONDON = buildZone("Europe/London");
const ZONES = [
  "Europe/London",
  "America/New_York",
  "Australia/Lord_Howe",
  "Africa/Casablanca",
  "Pacific/Apia",
  "Asia/Kathmandu",
  "America/Recife",
].map(buildZone);

Deno.test("localToUtcMs() takes the earlier instant of an ambiguous time and skips a gap forward", () => {
  const local = (text: string) => Date.parse(text + "Z");
  const table: [string, string][] = [
    ["2013-03-31T00:59:59", "2013-03-31T00:59:59Z"],
    ["2013-03-31T01:00:00", "2013-03-31T01:00:00Z"],
    ["2013-03-31T01:30:00", "2013-03-31T01:30:00Z"],
    ["2013-03-31T02:00:00", "2013-03-31T01:00:00Z"],
    ["2013-10-27T00:59:59", "2013-10-26T23:59:59Z"],
    ["2013-10-27T01:00:00", "2013-10-27T00:00:00Z"],
    ["2013-10-27T01:59:59", "2013-10-27T00:59:59Z"],
    ["2013-10-27T02:00:00", "2013-10-27T02:00:00Z"],
  ];
  for (const [text, utc] of [...table, ...table.reverse()]) {
    assert.equal(localToUtcMs(LONDON, local(text)), Date.parse(utc), text);
  }
  assert.ok(Number.isNaN(localToUtcMs(LONDON, NaN)));
});

/** The local time Intl shows for an instant: knows nothing of tables. */
function intlLocalMs(zone: Zone, utcMs: number): number {
  const parts = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone.name,
    dateStyle: "short",
    timeStyle: "medium",
  }).format(utcMs);
  return Date.parse(parts.replace(" ", "T") + "Z");
}

Deno.test("localToUtcMs() gives an instant that Intl shows as that local time, the earlier of two", () => {
  const second = fc.integer({ min: 86400 * 2, max: Date.UTC(2100, 0, 1) / 1000 });
  fc.assert(fc.property(fc.constantFrom(...ZONES), second, (zone, seconds) => {
    const utcMs = seconds * 1000;
    const localMs = intlLocalMs(zone, utcMs);
    const foundMs = localToUtcMs(zone, localMs);
    assert.equal(intlLocalMs(zone, foundMs), localMs, zone.name);
    assert.ok(foundMs <= utcMs);
  }));
});

Deno.test("localToUtcMs() agrees with Intl within a day of every transition of every zone", () => {
  for (const zone of ZONES) {
    const around = fc.constantFrom(...zone.localBoundsMs);
    const minutes = fc.integer({ min: -1500, max: 1500 });
    fc.assert(
      fc.property(around, minutes, (boundMs, offset) => {
        const localMs = boundMs + offset * 60_000;
        const foundMs = localToUtcMs(zone, localMs);
        const shownMs = intlLocalMs(zone, foundMs);
        if (shownMs === localMs) {
          // The earlier instant: no other offset of this zone, tried on the same local time, is before it.
          for (const offsetMs of zone.offsetsMs) {
            const otherMs = localMs - offsetMs;
            if (otherMs < foundMs) assert.notEqual(intlLocalMs(zone, otherMs), localMs);
          }
        } else {
          // A skipped time: shown later by the gap, and no instant is shown as it.
          assert.ok(shownMs > localMs && shownMs - localMs <= 86_400_000, zone.name);
          for (const offsetMs of zone.offsetsMs) {
            assert.notEqual(intlLocalMs(zone, localMs - offsetMs), localMs);
          }
        }
      }),
      { numRuns: 60 },
    );
  }
});

Deno.test("buildZone() names the zone it does not know", () => {
  assert.throws(() => buildZone("Europe/Atlantis"), {
    message: 'Cannot use time zone "Europe/Atlantis": must be an IANA name',
  });
  assert.throws(() => buildZone(""), /Cannot use time zone ""/);
});

Deno.test("buildZone() has no transition for a zone that never changed its clocks", () => {
  for (const name of ["UTC", "Etc/GMT-3"]) {
    const zone = buildZone(name);
    assert.equal(zone.localBoundsMs.length, 0);
    assert.equal(localToUtcMs(zone, 0), name === "UTC" ? 0 : -10_800_000);
  }
});
