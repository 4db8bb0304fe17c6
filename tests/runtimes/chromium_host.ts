/** Runs a script in a page of Chromium, by playwright, in a process of its own: see packages.ts. */
import { host } from "./host.ts";
import { PLAYWRIGHT } from "./packages.ts";

/** The first line: the page to open, and the module that it runs. */
export type ChromiumPage = { readonly program: string; readonly html: string; readonly js: string };

/** A function of the page's, and what it is given. */
export type ChromiumRequest = { readonly call: string; readonly argument: unknown };

/** The function that the request names, as the page has it. */
function callInPage({ call, argument }: ChromiumRequest): unknown {
  return (globalThis as unknown as Record<string, (argument: unknown) => unknown>)[call](argument);
}

if (import.meta.main) {
  await host(async ({ program, html, js }: ChromiumPage) => {
    const { chromium } = await import(PLAYWRIGHT);
    // Its sandbox does not start for root, as whom containers run.
    const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
    const page = await browser.newPage();
    await page.setContent(html);
    await page.addScriptTag({ content: js, type: "module" });
    return {
      answer: (request: ChromiumRequest) => page.evaluate(callInPage, request),
      close: () => browser.close(),
    };
  });
}
