import assert from "node:assert/strict";
import { CSV_FIELDS, type CsvColumns, parseCsvHeader } from "../../src/formats/csv_header.ts";
import { ReadError } from "../../src/formats/read_error.ts";

/** The name each field was found under. */
function found(text: string, columns?: CsvColumns): Record<string, string> {
  const { fieldOfColumn, names } = parseCsvHeader(text, "x.csv", columns);
  const entries = names.flatMap((name, column) =>
    fieldOfColumn[column] < 0 ? [] : [[CSV_FIELDS[fieldOfColumn[column]], name]]
  );
  return Object.fromEntries(entries);
}

function refusal(text: string, columns?: CsvColumns): ReadError {
  try {
    parseCsvHeader(text, "x.csv", columns);
  } catch (error) {
    if (error instanceof ReadError) return error;
    throw error;
  }
  throw new Error("not refused");
}

Deno.test("parseCsvHeader() knows every alias, in upper or lower case", () => {
  for (const meter of ["meter_id", "meterId", "id", "LCLid"]) {
    for (const time of ["timestamp", "time", "datetime", "tstp"]) {
      const kwh = ["consumption_kwh", "consumption", "kwh", "energy(kWh/hh)"];
      for (const value of [...kwh, "KWH/hh (per half hour)"]) {
        const names = { meter, time, value, received_at: "received_at" };
        assert.deepEqual(found(Object.values(names).join(",")), names);
        assert.equal(found(`${meter},${time},${value}`.toUpperCase()).meter, meter.toUpperCase());
      }
    }
  }
});

Deno.test("parseCsvHeader() reads the headers of the London files", () => {
  assert.deepEqual(found("LCLid,DateTime,KWH/hh (per half hour) "), {
    meter: "LCLid",
    time: "DateTime",
    value: "KWH/hh (per half hour)",
  });
  assert.deepEqual(found("LCLid,stdorToU,DateTime,KWH/hh (per half hour) ,Acorn").time, "DateTime");
});

Deno.test("parseCsvHeader() prefers the better alias, not the first column", () => {
  assert.equal(found("id,meter_id,time,kwh").meter, "meter_id");
});

Deno.test("parseCsvHeader() takes the delimiter under which all columns are found", () => {
  assert.equal(parseCsvHeader("a,b,c,d;id;time;kwh", "x.csv").delimiter, ";".charCodeAt(0));
  assert.equal(parseCsvHeader("id\ttime\tkwh", "x.csv").delimiter, 9);
});

Deno.test("parseCsvHeader() takes quotes off, with delimiters inside", () => {
  assert.deepEqual(found('"x,y","id","time","kwh"'), { meter: "id", time: "time", value: "kwh" });
});

Deno.test("parseCsvHeader() takes the columns it is told, before any alias", () => {
  const columns = { meter: "MPAN", value: "Import, kWh" };
  assert.deepEqual(found('meter_id,mpan,time,"Import, kWh"', columns), {
    meter: "mpan",
    time: "time",
    value: "Import, kWh",
  });
});

Deno.test("parseCsvHeader() says which column is missing, what it found, and a way out", () => {
  const error = refusal("meter_id,when,kwh");
  assert.equal(
    error.message,
    'Cannot read "x.csv": no time column: found "meter_id", "when", "kwh"',
  );
  assert.match(error.hint!, /^name the columns so in the first line, or give theirs:$/);
  assert.deepEqual(error.more, [
    "  time: timestamp, time, datetime, tstp; or --time-column NAME",
  ]);
  const both = refusal("meter_id,x,y");
  assert.match(both.message, /: no time and no value column: found "meter_id", "x", "y"$/);
  assert.match(both.more.join("\n"), /^ {2}time: .*\n {2}value: consumption_kwh, /);
  const arrived = refusal("id,time,kwh", { received_at: "arrived" });
  assert.match(arrived.message, /: no received_at column: found "id", "time", "kwh"$/);
  assert.deepEqual(arrived.more, ['  received_at: there is no "arrived"']);
});

Deno.test("parseCsvHeader() shows neither a thousand columns nor a control character", () => {
  const wide = refusal(Array.from({ length: 1000 }, (_, i) => `c${i}`).join(",")).message;
  assert.match(wide, /"c11", and 988 more$/);
  assert.ok(refusal(`${"x".repeat(5000)},\u001b[31m`).message.length < 300);
  const controls = refusal("a,\u001b[31m\u009b").message;
  assert.ok(!controls.includes("\u001b") && !controls.includes("\u009b"));
});
