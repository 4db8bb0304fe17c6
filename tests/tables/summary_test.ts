import assert from "node:assert/strict";
import { type Summary, suspicions } from "../../src/tables/summary.ts";
import { emptyLedger, type Ledger } from "../../src/core/ledger.ts";

const NONE = { gaps: 0, missing_intervals: 0 };

function summary(ledger: Partial<Ledger>, missing = 0): Summary {
  const gaps = { OPEN: NONE, FILLED: NONE, EXPIRED: NONE };
  const closed = { gaps: missing, missing_intervals: missing };
  return {
    ledger: { ...emptyLedger(), ...ledger },
    meters: 1,
    meters_by_status: {
      ...{ retired: 0, silent: 0, gap: 0, unusable: 0, unjudged: 0, late: 0 },
      healthy: 1,
    },
    gaps: { ...gaps, CLOSED: closed },
    duplicates: { identical: 0, conflicting: 0 },
    completeness_percent: null,
    completeness_reporting_percent: null,
    silent_meters: 0,
    silent_intervals: 0,
  };
}

const INTERVAL = /^warning: very many readings are missing, twice there or off their slots/;

Deno.test("suspicions() asks for the interval where readings come more or less often", () => {
  const hourly = summary({ raw: 1720, tick: 1000, ok: 720 }, 710);
  const fiveMinutely = summary({ raw: 8640, ok: 2880, duplicate: 5760 });
  const quarterHourly = summary({ raw: 2880, ok: 2880 });
  for (const [of, shifted] of [[hourly, 0], [fiveMinutely, 0], [quarterHourly, 2870]] as const) {
    assert.match(suspicions(of, shifted)[0], INTERVAL);
  }
});

Deno.test("suspicions() says of a fleet with its usual faults nothing", () => {
  const usual = {
    raw: 1100,
    tick: 100,
    ok: 900,
    late: 20,
    too_late: 20,
    duplicate: 30,
    rejected: 30,
  };
  assert.deepEqual(suspicions(summary(usual, 100), 50), []);
  assert.deepEqual(suspicions(summary({}), 0), []);
  assert.deepEqual(suspicions(summary({ raw: 10, too_late: 6, duplicate: 4 }), 0), []);
});

Deno.test("suspicions() names a database where one was played into", () => {
  const database = "postgres://user@host/name";
  const hourly = summary({ raw: 1720, tick: 1000, ok: 720 }, 710);
  const rejected = summary({ raw: 3, rejected: 2, tick: 1 });
  const hints = [hourly, rejected].map((of) => suspicions(of, 0, { database })[1]);
  assert.match(hints[0], /--database URL of an empty one$/);
  assert.match(hints[1], /^hint: psql postgres:\/\/user@host\/name -c "SELECT reason/);
  assert.doesNotMatch(hints.join("\n"), /--data /);
});

Deno.test("suspicions() points to the reasons where every row was rejected", () => {
  const [first, hint] = suspicions(summary({ raw: 3, rejected: 2, tick: 1 }), 0);
  assert.equal(first, "warning: every row was rejected");
  assert.match(hint, /SELECT reason, detail, raw FROM rejected_readings/);
});
