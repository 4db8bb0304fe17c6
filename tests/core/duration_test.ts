import assert from "node:assert/strict";
import { formatSeconds } from "../../src/core/duration.js";
import { ASSETS } from "../../src/api/assets.ts";

const DAY = 86_400;

Deno.test("formatSeconds() gives at most two units and cuts the rest", () => {
  const cases: [seconds: number | null, text: string][] = [
    [0, "0 s"],
    [0.4, "< 1 s"],
    [59.9, "59 s"],
    [60, "1 min"],
    [80, "1 min 20 s"],
    [3599.5, "59 min 59 s"],
    [5400, "1 h 30 min"],
    [47 * 3600, "1 d 23 h"],
    [3 * DAY + 4 * 3600 + 59, "3 d 4 h"],
    [365 * DAY, "52 wk 1 d"],
    [10_000 * 7 * DAY, "10,000 wk"],
    [NaN, "–"],
    [null, "–"],
  ];
  for (const [seconds, text] of cases) assert.equal(formatSeconds(seconds), text);
});

Deno.test("The page says durations by the very file that the command line does", async () => {
  const file = await Deno.readTextFile(new URL("../../src/core/duration.js", import.meta.url));
  assert.equal(ASSETS["/core/duration.js"].text, file);
  const [, from] = /export \{ formatSeconds \} from "([^"]+)"/.exec(ASSETS["/format.js"].text)!;
  assert.equal(new URL(from, "http://host/format.js").pathname, "/core/duration.js");
});
