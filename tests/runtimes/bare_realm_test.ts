import assert from "node:assert/strict";
import vm from "node:vm";
import type * as Toolkit from "../../src/toolkit.ts";
import { assertGolden, readGolden, readRaw } from "../golden/golden.ts";
import { bundle } from "./runtimes.ts";

/** The toolkit in a realm that has nothing but what JavaScript itself has, and this. */
async function bareToolkit(): Promise<typeof Toolkit> {
  const context = vm.createContext({ TextEncoder, TextDecoder, btoa });
  const module = await bundle("src/toolkit.ts");
  const exported = /export\s*\{([^}]*)\}/.exec(module)![1].split(",").map((each) => {
    const [local, name] = each.split(/\bas\b/).map((word) => word.trim());
    return `${name ?? local}: ${local}`;
  });
  const script = module.replace(/export\s*\{[^}]*\};?/, `;({${exported.join(",")}})`);
  return vm.runInContext(script, context);
}

Deno.test("The toolkit needs of its runtime no more than TextEncoder, TextDecoder and btoa", async () => {
  const { createJudge, restoreJudge } = await bareToolkit();
  let judge = createJudge({ nowMs: null });
  for (const [n, line] of (await readRaw("series")).entries()) {
    judge.record(line);
    if (n % 50 === 49) judge = restoreJudge(judge.save(), { nowMs: null });
  }
  const { accepted, gaps, rejected } = judge.take();
  for (
    const [file, messages] of Object.entries({ validated: accepted, gap_alerts: gaps, rejected })
  ) {
    const lines = messages.map((message) => `${JSON.stringify(message)}\n`).join("");
    assertGolden(lines, await readGolden("series", file as "validated"), file);
  }
});

Deno.test("Bytes that are no UTF-8 are rejected in whatever realm, and kept in base64", async () => {
  const { createJudge } = await bareToolkit();
  const judge = createJudge();
  judge.record(new Uint8Array([0xff, 0xfe]));
  const [{ reason, raw, raw_encoding }] = judge.take().rejected;
  assert.deepEqual([reason, raw, raw_encoding], ["MALFORMED", "//4=", "base64"]);
});
