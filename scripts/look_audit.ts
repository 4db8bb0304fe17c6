/**
 * Gives files to the audit page in a browser and prints what it saw as JSON: run by tests/browser/ as
 * look.ts is.
 *
 *     look_audit.ts BROWSER ADDRESS FILE…
 */
import { chromium, type Page } from "playwright-core";

const [executablePath, address, ...files] = Deno.args;
const WIDTHS = [1280, 390];

async function judge(page: Page, file: string) {
  await page.locator("#files").setInputFiles(file);
  await page.locator("#start").click();
  await page.waitForFunction(() =>
    document.body.dataset.done === "true" || document.querySelector("#state.failed") !== null
  );
  const said = { said: await page.locator("#said").innerText(), hints: "", verdict: "" };
  said.hints = await page.locator("#hints").innerText();
  if (await page.locator("#result").isVisible()) {
    const report = page.frameLocator("#report");
    await report.locator("h1", { hasText: file.split("/").pop() }).waitFor();
    said.verdict = await report.locator(".verdict strong").innerText();
    const tiles = await report.locator(".tiles dd").evaluateAll((all) =>
      all.map(({ firstChild }) => firstChild?.textContent)
    );
    Object.assign(said, { tiles, calendar: await report.locator("canvas").count() });
  }
  await page.evaluate(() => delete document.body.dataset.done);
  return said;
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: { width: WIDTHS[0], height: 900 } });
  const errors: string[] = [];
  const sent: string[] = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  await page.goto(address);
  page.on("request", (request) => {
    if (!/^(blob|data|about):/.test(request.url())) sent.push(request.url());
  });
  const judged = [];
  for (const file of files) judged.push(await judge(page, file));
  const overflows = [];
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 844 });
    overflows.push(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth));
  }
  const seen = JSON.stringify({ judged, errors, sent, overflows });
  await new Blob([seen]).stream().pipeTo(Deno.stdout.writable, { preventClose: true });
} finally {
  await browser.close();
}
