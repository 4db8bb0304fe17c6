import assert from "node:assert/strict";
import {
  codeFromGreenButton,
  codeFromNem12,
  codeOf,
  ESTIMATED,
  greenButtonOf,
  MISSING,
  nem12Of,
  VALID,
} from "../../src/tables/quality.ts";

Deno.test("codeOf() gives the code of the worst rule that a reading fails", () => {
  const codes: readonly (readonly [rules: string[], kwh: number, code: string])[] = [
    [[], 1, VALID],
    [["REVISES"], 1, VALID],
    [["NEGATIVE"], -1, "3.5.256"],
    [["CAPACITY"], 16_777.215, "3.5.257"],
    [["CAPACITY"], 99, "3.6.3"],
    [["SPIKE"], 9, "3.6.5"],
    [["LOW_DAY", "ZERO_RUN"], 0, "3.6.6"],
    [["ZERO_RUN"], 0, "3.6.1"],
    [["TIME_SHIFT", "STUCK"], 1, "3.6.1001"],
    [["STRAIGHT_LINE"], 1, "3.6.1002"],
    [["REPEATED_DAY"], 1, "3.6.1003"],
    [["UNIT_SCALE", "HIGH_DAY"], 1, "3.6.1004"],
    [["TIME_SHIFT"], 1, "3.4.9"],
    [["HIGH_NIGHT"], 1, "3.6.1099"],
  ];
  for (const [rules, kwh, code] of codes) assert.equal(codeOf(rules, kwh), code, rules.join());
});

Deno.test("Codes go to Green Button and NEM12, and those that were delivered come back", () => {
  const method = (code: string, of: string | null) => [greenButtonOf(code, of), nem12Of(code, of)];
  assert.deepEqual(method(VALID, null), [17, "A"]);
  assert.deepEqual(method(MISSING, null), [null, "N"]);
  assert.deepEqual(method("3.5.256", null), [10, "N"]);
  assert.deepEqual(method("3.6.5", null), [10, "A"]);
  assert.deepEqual(method(ESTIMATED, "LINEAR"), [9, "S17"]);
  assert.deepEqual(method(ESTIMATED, "PROFILE"), [8, "S18"]);
  assert.deepEqual(
    [0, 7, 8, 9, 10, 11, 12, 14, 17, 18, 19, 99].map(codeFromGreenButton),
    [
      ...["3.0.0", "3.7.0", "3.8.0", "3.8.0", "3.10.0", "3.11.0", "3.12.0", null],
      ...["3.0.0", "3.0.0", "3.0.0", null],
    ],
  );
  assert.deepEqual(
    ["A", "S14", "F15", "E52", "N", "V", ""].map(codeFromNem12),
    ["3.0.0", ESTIMATED, ESTIMATED, ESTIMATED, MISSING, null, null],
  );
});
