import assert from "node:assert/strict";
import { expandQuery, intervalOf, type QueryContext } from "./macros.ts";

const context: QueryContext = {
  fromMs: Date.UTC(2014, 0, 1),
  toMs: Date.UTC(2014, 0, 2, 12, 30, 0, 250),
  intervalMs: 5_400_000,
  variables: { meter: "O'Hara", groups: ["A", "B's"], all: { allValue: "'*'" } },
};

Deno.test("expandQuery() does with each macro and format what Grafana's documentation says", () => {
  const cases = [
    ["$__time(t)", 't AS "time"'],
    ["$__timeEpoch(t)", 'extract(epoch from t) as "time"'],
    ["$__timeFilter(t)", "t BETWEEN '2014-01-01T00:00:00Z' AND '2014-01-02T12:30:00.250Z'"],
    ["$__timeFrom()::timestamptz", "'2014-01-01T00:00:00Z'::timestamptz"],
    ["$__timeGroup(t, '5m') x", "floor(extract(epoch from t)/300)*300 x"],
    ["$__timeGroup(t,$__interval), y", 'floor(extract(epoch from t)/5400)*5400 AS "time", y'],
    ["$__timeGroupAlias(t, 1d)", 'floor(extract(epoch from t)/86400)*86400 AS "time"'],
    ["$__unixEpochFilter(t)", "t >= 1388534400 AND t <= 1388665800"],
    ["$__interval $__interval_ms", "90m 5400000"],
    ["${meter:sqlstring}", "'O''Hara'"],
    ["(${groups:sqlstring})", "('A','B''s')"],
    ["(${all:sqlstring})", "('*')"],
    ["${all:percentencode}", "'*'"],
    ["${groups:percentencode}", "%7BA%2CB's%7D"],
    ["${groups}", "{A,B's}"],
  ] as const;
  for (const [sql, expanded] of cases) assert.equal(expandQuery(sql, context), expanded);
});

Deno.test("expandQuery() refuses what Grafana would refuse or leave as it is", () => {
  for (const sql of ["${none}", "${meter:odd}", "$__nothing(t)", "$__timeGroup(t, 5x)"]) {
    assert.throws(() => expandQuery(sql, context), Error, sql);
  }
});

Deno.test("intervalOf() is round, and not below the panel's own", () => {
  const day = { fromMs: 0, toMs: 86_400_000 };
  assert.equal(intervalOf(day, { pointsMax: 100 }), 900_000);
  assert.equal(intervalOf(day, { pointsMax: 100, min: "1h" }), 3_600_000);
});
