/** The page as a browser shows it, where one is at hand. */
import assert from "node:assert/strict";
import { openReader } from "../../src/adapters/sqlite/store.ts";
import { createApp } from "../../src/api/app.ts";
import { LiveTracker } from "../../src/setup/live.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";

const SCRIPTS = new URL("../../scripts/", import.meta.url);
const BROWSER = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });

/** Serves the page over a store whose answers /test/away takes away, and /test/back gives back. */
async function serveStore(directory: string) {
  const reader = await openReader(directory);
  const live = new LiveTracker(Date.now);
  live.begin("fleet.csv", null);
  const { dialect } = reader;
  let isAway = false;
  let beats = 0;
  const query = async (sql: string, params?: unknown[]) => {
    if (isAway) throw new Error("away");
    return (await reader.query(sql, params)).rows;
  };
  const closing = new AbortController();
  const app = createApp({
    query: Object.assign(query, { dialect }),
    // Something was committed at each look, so that no answer is taken from before.
    live: () => ({ ...live.status, rowsRead: ++beats }),
    version: "test",
    closing: closing.signal,
  });
  app.notFound((c) => {
    isAway = c.req.path === "/test/away";
    return c.text("");
  });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  return {
    address: `http://127.0.0.1:${server.addr.port}`,
    close: async () => {
      closing.abort();
      await server.shutdown();
      await reader.close();
    },
  };
}

async function look(address: string) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "-A", "--no-config", "--frozen"],
      `--import-map=${new URL("look.imports.json", SCRIPTS).pathname}`,
      `--lock=${new URL("look.lock", SCRIPTS).pathname}`,
      new URL("look.ts", SCRIPTS).pathname,
      BROWSER!,
      address,
    ],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test({
  name: "the page in Chromium: axe finds no fault in its landmarks and targets, lists have more " +
    "pages, and a store that is away greys what is shown",
  ignore: BROWSER === undefined,
  fn: async (t) => {
    await inFolder(async (folder) => {
      const fleet = `${folder}/fleet.csv`;
      const store = `${folder}/store`;
      const made = ["--meters", "40", "--days", "28", "--output", fleet, "--quiet"];
      assert.equal((await gridwatch("generate", ...made)).code, 0);
      assert.equal((await gridwatch("run", fleet, "--data", store, "--exit", "--quiet")).code, 0);
      const served = await serveStore(store);
      const seen = await look(served.address).finally(() => served.close());
      await t.step("axe, wide, narrow and with a meter's sheet", () => {
        assert.deepEqual([seen.page, seen.narrow, seen.sheet], [[], [], []]);
      });
      await t.step("lists go on behind their first page", () => {
        assert.equal(seen.place, "51 – 100");
      });
      await t.step("ticks are not in the bar", () => {
        assert.ok(seen.bar.length > 1);
        assert.ok(!seen.bar.includes("chip-tick"));
      });
      await t.step("a filled gap is not 0 min long", () => {
        assert.ok(seen.filled.length > 0);
        for (const text of seen.filled) assert.match(text, /filled|interval/);
      });
      await t.step("a store that is away: greyed, as of then, neither running nor live", () => {
        assert.match(seen.link, /Live/);
        assert.match(seen.away.state, /No answer/);
        assert.match(seen.away.link, /Store away/);
        assert.match(seen.away.asOf, /^figures as of \d/);
        assert.ok(seen.away.isKept);
        assert.match(seen.back.state, /Running/);
        assert.match(seen.back.link, /Live/);
      });
      assert.deepEqual(seen.errors, []);
    });
  },
});
