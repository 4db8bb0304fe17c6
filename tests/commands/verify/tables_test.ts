import assert from "node:assert/strict";
import { compareTables, describeTables, type Tables } from "../../../src/commands/verify/tables.ts";
import { emptyLedger, type Ledger } from "../../../src/core/ledger.ts";

const GAPS = { OPEN: 1, CLOSED: 2, FILLED: 0, EXPIRED: 0 };
const FOUND = { gaps: GAPS, findings: 3 };
const LEDGER: Ledger = { ...emptyLedger(), raw: 5, ok: 4, tick: 1 };

function tablesOf(ledger: Ledger, refused = 0): Tables {
  const partitions = new Map([[1, { nextOffset: 6, ledger, ...FOUND }]]);
  return {
    of: "sinks",
    balanced: true,
    ledger,
    partitions,
    differences: [],
    notCompared: [],
    refused,
    findings: [],
    undigested: [],
    digestedSince: null,
    dropped: null,
  };
}

Deno.test("compareTables() finds nothing where ledger and gaps are those of the topics", () => {
  const topics = [{ partition: 0, account: null, deletedBefore: 0 }, {
    partition: 1,
    account: { ledger: LEDGER, ...FOUND },
    deletedBefore: 0,
  }];
  assert.deepEqual(compareTables(tablesOf(LEDGER), topics), []);
});

Deno.test("compareTables() names each figure that differs", () => {
  const account = { ledger: LEDGER, gaps: { ...GAPS, OPEN: 0, CLOSED: 3 }, findings: 4 };
  const tables = tablesOf({ ...LEDGER, raw: 6, ok: 5 });
  assert.deepEqual(compareTables(tables, [{ partition: 1, account, deletedBefore: 0 }]), [
    { partition: 1, what: "raw, by the topics", ledger: 5, found: 6 },
    { partition: 1, what: "ok, by the topics", ledger: 4, found: 5 },
    { partition: 1, what: "OPEN gaps, by the topics", ledger: 0, found: 1 },
    { partition: 1, what: "CLOSED gaps, by the topics", ledger: 3, found: 2 },
    { partition: 1, what: "findings of rules, by the topics", ledger: 4, found: 3 },
  ]);
});

Deno.test("compareTables() says of tables beyond the topics that they are", () => {
  for (const topics of [[], [{ partition: 1, account: null, deletedBefore: 0 }]]) {
    const [difference, ...others] = compareTables(tablesOf(LEDGER), topics);
    assert.deepEqual(difference, {
      ...{ partition: 1, what: "raw records, which the topics do not have", ledger: 0, found: 6 },
    });
    assert.deepEqual(others, []);
  }
});

Deno.test("compareTables() compares nothing with a log whose older records are deleted", () => {
  const topics = [{ partition: 1, account: null, deletedBefore: 7 }];
  assert.deepEqual(compareTables(tablesOf(LEDGER), topics), []);
});

Deno.test("describeTables() says what was refused, and how it came out", () => {
  assert.deepEqual(describeTables(tablesOf(LEDGER, 3), []), [
    "the database has refused 3 messages: see sink_errors",
    "the tables balance: 5 raw records, each with one disposition",
  ]);
  assert.deepEqual(
    describeTables(tablesOf(LEDGER), [{ partition: 1, what: "ok", ledger: 4, found: 1234 }]),
    ["partition 1: ok: 4, tables: 1,234", "the tables do not balance"],
  );
});

Deno.test("describeTables() never says of what was not compared that it balances", () => {
  assert.deepEqual(describeTables({ ...tablesOf(LEDGER), notCompared: [7] }, []), [
    "partition 7 is not compared: it has no account in the tables yet",
    "the tables balance as far as they are compared: 5 raw records, each with one disposition",
  ]);
  assert.deepEqual(describeTables(tablesOf(emptyLedger()), []), [
    "nothing to compare: there is no account of a raw record yet",
  ]);
});
