import assert from "node:assert/strict";
import { ASSETS } from "../../src/api/assets.ts";
import {
  daysPerCell,
  formatCount,
  formatDays,
  formatInstant,
  formatKwh,
  formatPercent,
  timeTicks,
  valueTicks,
  visibleText,
} from "../../src/api/page/format.js";
import { cellDaysOf, fleetCells } from "../../src/api/page/charts.js";
import { lengthOf } from "../../src/api/page/list_panels.js";
import { createBench, openEmpty } from "./fixture.ts";

const empty = await openEmpty();
const DAY_MS = 86_400_000;

Deno.test("every file of the page is served with its type, a policy and no sniffing", async () => {
  const { app } = createBench(empty);
  for (const [path, { type, text }] of Object.entries(ASSETS)) {
    const response = await app.request(path);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get("content-type"), type, path);
    assert.equal(await response.text(), text, path);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'; script-src 'self'/);
    assert.doesNotMatch(policy, /unsafe|\*/);
  }
});

Deno.test("the page has no inline script or style and loads nothing from elsewhere", () => {
  const { text } = ASSETS["/"];
  assert.doesNotMatch(text, /<script(?![^>]*\bsrc="\/)/);
  assert.doesNotMatch(text, /<style|\sstyle=|\son[a-z]+=/);
  for (const [path, asset] of Object.entries(ASSETS)) {
    const links = asset.text.match(/(?:https?:)?\/\/[a-z0-9-]+\.[a-z0-9.]+/g) ?? [];
    assert.deepEqual(links.filter((link) => !link.endsWith("//www.w3.org")), [], path);
  }
});

Deno.test("the page's files import only files that are served", () => {
  for (const [path, { text }] of Object.entries(ASSETS)) {
    for (const [, specifier] of text.matchAll(/\bfrom "(\.[^"]+)"/g)) {
      const { pathname } = new URL(specifier, `http://host${path}`);
      assert.ok(pathname in ASSETS, `${path} imports ${specifier}`);
    }
    for (const [, wanted] of text.matchAll(/\b(?:src|href)="(\/[a-z_]+\.[a-z]+)"/g)) {
      assert.ok(wanted in ASSETS, `${path} wants ${wanted}`);
    }
  }
});

Deno.test("the page never turns data into markup", () => {
  for (const [path, { text }] of Object.entries(ASSETS)) {
    if (!path.endsWith(".js")) continue;
    const code = text.replace(/\/\*[\s\S]*?\*\//g, "");
    assert.doesNotMatch(
      code,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/,
      path,
    );
  }
});

Deno.test("every element that the page's code asks for by id is on the page", () => {
  const idsOf = (page: string) =>
    new Set([...ASSETS[page].text.matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id));
  for (const [path, { text }] of Object.entries(ASSETS)) {
    const ids = idsOf(path.startsWith("/pipeline") ? "/pipeline" : "/");
    for (const [, id] of text.matchAll(/\bbyId\("([^"]+)"\)/g)) {
      assert.ok(ids.has(id), `${path} asks for #${id}`);
    }
    for (const [, id] of text.matchAll(/(?:aria-labelledby|href)="#?([a-z]-[a-z-]+)"/g)) {
      assert.ok(ids.has(id), `${path} points at #${id}`);
    }
  }
});

Deno.test("visibleText() shows what cannot be seen and leaves the rest", () => {
  assert.equal(visibleText("MAC 000\u00e9\u4e2d"), "MAC 000\u00e9\u4e2d");
  assert.equal(visibleText("a\nb\tc\r"), "a\\nb\\tc\\r");
  assert.equal(visibleText("\u202Egnp\u200B\0\u2028"), "\\u{202e}gnp\\u{200b}\\u{0}\\u{2028}");
  assert.equal(visibleText("\ud800"), "\\u{d800}");
});

Deno.test("formatPercent() never rounds up to complete", () => {
  assert.equal(formatPercent(100), "100 %");
  assert.equal(formatPercent(99.999), "99.99 %");
  assert.equal(formatPercent(96.59, 3), "96.590 %");
  assert.equal(formatPercent(0), "0.00 %");
  assert.equal(formatPercent(null), "–");
});

Deno.test("figures and times are written for people, in UTC", () => {
  assert.equal(formatCount(1371693), "1,371,693");
  assert.equal(formatKwh(0.2190001), "0.219");
  assert.equal(formatKwh(12.345), "12.35");
  assert.equal(formatKwh(1204.4), "1,204");
  assert.equal(formatInstant("2013-01-27T14:30:00Z"), "27 Jan 2013, 14:30");
  assert.equal(formatInstant("2013-01-27T14:30:07Z"), "27 Jan 2013, 14:30:07");
  assert.equal(formatInstant(null), "–");
  const day = Date.UTC(2013, 0, 27);
  assert.equal(formatDays(day, day + DAY_MS), "Sun 27 Jan 2013");
  assert.equal(formatDays(day, day + 7 * DAY_MS), "27 Jan – 2 Feb 2013");
});

Deno.test("daysPerCell() keeps a cell wide enough to be seen", () => {
  assert.equal(daysPerCell(28, 600), 1);
  assert.equal(daysPerCell(365, 600), 7);
  assert.equal(daysPerCell(1830, 340), 28);
});

Deno.test("timeTicks() keeps its distance whatever the span and the width", () => {
  const fromMs = Date.UTC(2012, 9, 12, 5, 30);
  for (const days of [0.5, 1, 3, 9, 28, 90, 365, 1830]) {
    for (const widthPx of [300, 600, 1200]) {
      const toMs = fromMs + days * DAY_MS;
      const ticks = timeTicks(fromMs, toMs, widthPx);
      assert.ok(ticks.length <= widthPx / 60, `${days} days on ${widthPx} px: ${ticks.length}`);
      for (const { ms } of ticks) assert.ok(ms >= fromMs && ms < toMs);
    }
  }
});

Deno.test("valueTicks() ends at or above the greatest value", () => {
  for (const max of [0.001, 0.219, 1, 1.4, 7, 99, 1234]) {
    const ticks = valueTicks(max);
    assert.equal(ticks[0], 0);
    assert.ok(ticks[ticks.length - 1] >= max, `${max}: ${ticks}`);
    assert.ok(ticks.length <= 5, `${max}: ${ticks}`);
  }
  assert.deepEqual(valueTicks(0), [0, 1]);
});

Deno.test("fleetCells() counts a meter once in a cell of days, and none where they are not counted", () => {
  const from = Date.UTC(2024, 0);
  const at = (day: number) => new Date(from + day * DAY_MS).toISOString();
  const days = [0, 1, 2].map((day) => ({
    ...{ day: at(day).slice(0, 10), missing_intervals: 2, meters_missing: 1 },
    ...{ too_late: 0, rejected: 0 },
  }));
  const timeline = { from: at(0), to: at(14), days };
  const cells = [{ from: at(0), meters_missing: 3 }];
  const widthPx = 10;
  assert.equal(cellDaysOf(timeline, widthPx), 7);
  const [first, second] = fleetCells({ ...timeline, cell_days: 7, cells }, widthPx);
  assert.deepEqual([first.missing, first.meters], [6, 3]);
  assert.deepEqual([second.missing, second.meters], [0, 0]);
  const [other] = fleetCells({ ...timeline, cell_days: 1, cells }, widthPx);
  assert.deepEqual([other.missing, other.meters], [6, null]);
});

Deno.test("lengthOf() keeps of a filled gap what it was", () => {
  assert.equal(lengthOf({ state: "CLOSED", known_minutes: 90 }), "1 h 30 min");
  assert.equal(lengthOf({ state: "FILLED", known_minutes: 0, filled_intervals: 3 }), "3 intervals");
  assert.equal(lengthOf({ state: "FILLED", known_minutes: 0, filled_intervals: 1 }), "1 interval");
  assert.equal(lengthOf({ state: "FILLED", known_minutes: 0 }), "all filled");
});
