import assert from "node:assert/strict";
import { awayOf } from "../../../src/adapters/postgres/errors.ts";
import { StoreAwayError } from "../../../src/engine/sink/ports.ts";
import { storeEvent } from "../../../src/engine/sink/store_event.ts";

const coded = (code: string) => Object.assign(new Error("why"), { code });

Deno.test("awayOf() calls away only a server that does not answer, and tells refusals as such", () => {
  const away = ["08006", "57P01", "57P03", "53300", "EPIPE", "ECONNREFUSED", "CONNECT_TIMEOUT"];
  for (const code of away) {
    const error = awayOf(coded(code));
    assert.ok(error instanceof StoreAwayError, code);
    assert.deepEqual([error.message, error.sqlstate], ["Cannot use the database: why", null], code);
    assert.equal(storeEvent(error).event, "database_away", code);
  }
  for (const code of ["53200", "53100", "28P01", "42P01", "25006", "55P03", "XX000", "F0001"]) {
    const error = awayOf(coded(code));
    assert.ok(error instanceof StoreAwayError, code);
    assert.equal(error.message, `The database refuses: why (SQLSTATE ${code})`);
    const { event, level, fields } = storeEvent(error);
    assert.deepEqual([event, level, fields.sqlstate], ["database_refuses", "error", code]);
  }
  assert.equal(storeEvent(null).event, "database_back");
});

Deno.test("awayOf() gives back what is no fault of the database's", () => {
  const errors = [new Error("x"), coded("42601"), coded("ERR_INVALID"), null, "text"];
  for (const error of errors) assert.equal(awayOf(error), error);
});
