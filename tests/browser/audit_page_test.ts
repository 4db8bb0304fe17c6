/** The audit in a browser: from a disk and as `serve` sends it, of files that never leave the machine. */
import assert from "node:assert/strict";
import { strToU8, zipSync } from "fflate";
import { createApp } from "../../src/api/app.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { hasField } from "../field/play.ts";
import { PARQUET } from "../formats/packed_files.ts";
import { chromiumProgram } from "../runtimes/runtimes.ts";
import { makePage } from "../../scripts/audit_page.ts";

const ROOT = new URL("../../", import.meta.url);
const MADE = new URL("src/api/page/audit.html", ROOT);
const SAMPLE = new URL("data/sample/london_MAC000002.csv", ROOT).pathname;
const SHARED = new URL("../../../shared/data/", import.meta.url).pathname;
const BROWSER = await chromiumProgram();

type Judged = {
  readonly said: string;
  readonly hints: string;
  readonly verdict: string;
  readonly tiles?: readonly string[];
  readonly calendar?: number;
};

async function look(address: string, files: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-config", "--no-prompt", "--allow-read", "--allow-write", "--allow-net"],
      ...["--allow-env", "--allow-sys", "--allow-run", "--node-modules-dir=none"],
      `--import-map=${new URL("scripts/look.imports.json", ROOT).pathname}`,
      ...[`--lock=${new URL("scripts/look.lock", ROOT).pathname}`, "--frozen"],
      new URL("scripts/look_audit.ts", ROOT).pathname,
      ...[BROWSER!, address, ...files],
    ],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const seen = JSON.parse(new TextDecoder().decode(stdout));
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(seen.sent, [], "nothing is sent");
  assert.deepEqual(seen.overflows, [0, 0]);
  return seen.judged as readonly Judged[];
}

/** What `gridwatch audit` says of a file: complete, missing, rows, as the page shows them. */
async function tilesOf(file: string) {
  const { stdout } = await gridwatch("audit", file, "--json", "--quiet");
  const { completeness_percent, missing_intervals, rows } = JSON.parse(stdout);
  const count = (number: number) => number.toLocaleString("en-US");
  return [`${completeness_percent.toFixed(2)} %`, count(missing_intervals), count(rows)];
}

const shown = ({ tiles = [] }: Judged) => tiles.slice(0, 3);

Deno.test("src/api/page/audit.html is what deno task audit:page makes", async () => {
  assert.ok(await Deno.readTextFile(MADE) === await makePage(), "deno task audit:page");
});

Deno.test({
  name: "the audit page from a disk judges CSV, a zip, Parquet and NEM12 as the command does",
  ignore: BROWSER === null,
  fn: async () => {
    await inFolder(async (folder) => {
      const files = {
        "a.zip": zipSync({ "in/a.csv": await Deno.readFile(SAMPLE) }),
        "a.parquet": PARQUET.zstd,
        "n.csv": strToU8(
          `100,NEM12,202401010000,A,B\n200,N1,E1,E1,E1,N1,M,kWh,30,\n` +
            `300,20240101,${Array(48).fill("1")},A,,,,\n300,20240103,${
              Array(48).fill("1")
            },A,,,,\n` +
            "900\n",
        ),
        "bad.csv": strToU8("a,b,c\n1,2,3\n"),
      };
      const paths = [SAMPLE];
      for (const [name, content] of Object.entries(files)) {
        await Deno.writeFile(`${folder}/${name}`, content);
        paths.push(`${folder}/${name}`);
      }
      const judged = await look(MADE.href, paths);
      for (const [n, path] of paths.slice(0, 4).entries()) {
        assert.deepEqual(shown(judged[n]), await tilesOf(path), path);
        assert.equal(judged[n].calendar, 1);
      }
      assert.match(judged[0].verdict, /Fail/);
      assert.match(judged[2].verdict, /Pass/);
      assert.match(
        judged[4].said,
        /^Cannot read "bad\.csv": no meter, no time and no value column/,
      );
    });
  },
});

Deno.test({
  name: "the audit page as serve sends it may talk to nobody, and judges",
  ignore: BROWSER === null,
  fn: async () => {
    const closing = new AbortController();
    const app = createApp({
      query: () => Promise.reject(new Error("no store")),
      live: () => {
        throw new Error("no store");
      },
      version: "test",
      closing: closing.signal,
    });
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
    try {
      const address = `http://127.0.0.1:${server.addr.port}/audit`;
      const response = await fetch(address);
      await response.body?.cancel();
      assert.match(response.headers.get("content-security-policy") ?? "", /connect-src 'none'/);
      const [judged] = await look(address, [SAMPLE]);
      assert.deepEqual(shown(judged), await tilesOf(SAMPLE));
    } finally {
      closing.abort();
      await server.shutdown();
    }
  },
});

Deno.test({
  name: "the audit page judges the London year in one zip, and the NEM12 of many meters",
  ignore: BROWSER === null || !hasField,
  fn: async () => {
    await inFolder(async (folder) => {
      const archive = `${SHARED}london/london_2013_81meters.tar.xz`;
      await new Deno.Command("tar", { args: ["xJf", archive, "-C", folder] }).output();
      const year = `${folder}/london_2013`;
      const members = Object.fromEntries(
        [...Deno.readDirSync(year)].map(({ name }) => [name, Deno.readFileSync(`${year}/${name}`)]),
      );
      const zip = `${folder}/london.zip`;
      await Deno.writeFile(zip, zipSync(members, { level: 1 }));
      const nem = `${SHARED}nem12/nem-reader-examples/Example_NEM12_ManyNMIs.zip`;
      const [london, many] = await look(MADE.href, [zip, nem]);
      assert.deepEqual(shown(london), ["99.98 %", "295", "1,371,693"]);
      assert.deepEqual(shown(many), ["100.00 %", "0", "57,024"]);
    });
  },
});
