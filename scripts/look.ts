/**
 * Looks at a page with a browser and prints what it saw as JSON: run by tests/browser/ in a process of
 * its own, with an import map and a lock of its own, for nobody else needs a browser's driver.
 *
 *     look.ts BROWSER ADDRESS: the page's address; /test/away and /test/back there take its store away
 */
import axe from "axe-core";
import { chromium, type Page } from "playwright-core";

const [executablePath, address] = Deno.args;
const RULES = ["landmark-unique", "target-size", "region", "scrollable-region-focusable"];
const VIEWPORTS = { wide: { width: 1400, height: 1000 }, narrow: { width: 390, height: 844 } };

/** What axe finds wrong by some rules, each with where. */
async function violationsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async (rules) => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const { violations } = await axe.run({ runOnly: { type: "rule", values: rules } });
    return violations.map(({ id, nodes }) => ({ id, at: nodes.map(({ html }) => html) }));
  }, RULES);
  return found.map(({ id, at }) => `${id}: ${at.map((html) => html.slice(0, 100)).join(" | ")}`);
}

const textOf = (page: Page, id: string) => page.locator(`#${id}`).innerText();

async function lookAt(page: Page) {
  const seen: Record<string, unknown> = {};
  await page.goto(address);
  await page.locator("#gaps tr").first().waitFor();
  seen.link = await textOf(page, "link");
  seen.page = await violationsOf(page);
  const states = await page.locator("#gaps td[data-state=filled i] ~ td.n").allInnerTexts();
  seen.filled = [...new Set(states)];
  seen.bar = await page.locator("#parts i").evaluateAll((parts) => parts.map((p) => p.className));

  const firstOf = () => page.locator("#gaps tr").first().getAttribute("data-key");
  const before = await firstOf();
  await page.getByRole("button", { name: "More gaps" }).first().click();
  await page.waitForFunction(
    (key) => document.querySelector("#gaps tr")?.getAttribute("data-key") !== key,
    before,
  );
  seen.place = await page.locator("#gaps-pages .caption").innerText();

  await page.locator("#meters .meter-link").first().click();
  await page.locator("#meter-gaps tr").first().waitFor();
  seen.sheet = await violationsOf(page);
  await page.keyboard.press("Escape");

  await page.setViewportSize(VIEWPORTS.narrow);
  seen.narrow = await violationsOf(page);
  await page.setViewportSize(VIEWPORTS.wide);

  const raw = await page.locator(".term-raw .term-count").innerText();
  await fetch(`${address}/test/away`);
  await page.locator("body[data-stale]").waitFor();
  seen.away = {
    state: await textOf(page, "state"),
    link: await textOf(page, "link"),
    asOf: await textOf(page, "as-of"),
    isKept: raw === await page.locator(".term-raw .term-count").innerText(),
  };
  await fetch(`${address}/test/back`);
  await page.locator("body:not([data-stale])").waitFor();
  seen.back = { state: await textOf(page, "state"), link: await textOf(page, "link") };
  return seen;
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: VIEWPORTS.wide });
  const errors: string[] = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  const seen = JSON.stringify({ ...await lookAt(page), errors });
  await new Blob([seen]).stream().pipeTo(Deno.stdout.writable, { preventClose: true });
} finally {
  await browser.close();
}
