/** Runs a script in a page of Chromium, by playwright, in a process of its own: see packages.ts. */
import { host } from "./host.ts";
import { PLAYWRIGHT } from "./packages.ts";

/** The first line: the page to open, and the module that it runs. */
export type ChromiumPage = { readonly program: string; readonly html: string; readonly js: string };

/**
 * A function of the page's, and what it is given; or a file that the page is handed by an input, and
 * the text that an element then shows.
 */
export type ChromiumRequest =
  | { readonly call: string; readonly argument: unknown }
  | { readonly input: string; readonly file: string; readonly shown: string };

type Page = {
  setContent(html: string): Promise<void>;
  addScriptTag(tag: { content: string; type: string }): Promise<unknown>;
  evaluate(work: unknown, argument: unknown): Promise<unknown>;
  setInputFiles(input: string, file: string): Promise<void>;
  locator(element: string): { filter(by: { hasText: RegExp }): { innerText(): Promise<string> } };
};

async function answer(page: Page, request: ChromiumRequest): Promise<unknown> {
  if ("call" in request) return await page.evaluate(callInPage, request);
  await page.setInputFiles(request.input, request.file);
  const text = await page.locator(request.shown).filter({ hasText: /./ }).innerText();
  return { text };
}

/** The function that the request names, as the page has it. */
function callInPage({ call, argument }: { call: string; argument: unknown }): unknown {
  return (globalThis as unknown as Record<string, (argument: unknown) => unknown>)[call](argument);
}

if (import.meta.main) {
  await host(async ({ program, html, js }: ChromiumPage) => {
    const { chromium } = await import(PLAYWRIGHT);
    // Its sandbox does not start for root, as whom containers run.
    const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
    const page: Page = await browser.newPage();
    await page.setContent(html);
    await page.addScriptTag({ content: js, type: "module" });
    return {
      answer: (request: ChromiumRequest) => answer(page, request),
      close: () => browser.close(),
    };
  });
}
