/**
 * Files that somebody has at hand who does not know the program: each plays, or the program says what
 * it is and what to do, on one screen.
 */
import assert from "node:assert/strict";
import { gridwatch, inFolder } from "./command_line.ts";

const DATA = new URL("../../../shared/data/", import.meta.url);
const hasData = (() => {
  try {
    return Deno.statSync(DATA).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
})();

const [COLUMNS, LINES] = [80, 24];

/** By their files: how many readings are accepted; or what is said. */
const FILES: Record<string, number | RegExp> = {
  "london/block_19meters_2013-05_07.csv": 80_376,
  "london/raw_MAC000002_datastore_format.csv": 24_140,
  "london/london_2013_81meters.tar.xz": /a tar archive, packed as an xz archive\nhint: tar -xf /,
  "uci/uci_wide_rebuilt_MT208_MT210_2014-03-16_04-12.txt": 5_376,
  "ausgrid/customer12_2011-2012.csv": 35_136,
  "greenbutton/cew821_sample.xml": 362,
  "nem12/nem-reader-examples/Example_NEM12_ManyNMIs.zip": 57_024,
  "nem12/nem-reader-examples/invalid/Example_NEM12_powercor.csv": 96,
  "nem12/nem-reader-examples/invalid/Example_empty_file.csv": /it is empty/,
  "field/03-edf-doubles-offgrid.csv": 48,
  "field/05-enedis-two-headers.csv": 48,
  "field/06-sdge-preamble.csv": 13,
  "field/10-wrong-clock.csv": 45,
  "field/16-two-channels.csv": 192,
  "field/18-wide.csv": 144,
  "field/24-invisible-ids.csv": 48,
  "field/null_tail.csv": 96,
  "field/two_registers.csv": 96,
};

/** How many lines of a screen a text takes. */
function screenLines(text: string): number {
  const lines = text.trimEnd().split("\n");
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / COLUMNS)), 0);
}

for (const [name, right] of Object.entries(FILES)) {
  const does = typeof right === "number" ? "plays" : "says what it is";
  Deno.test({
    name: `run of ${name} ${does} and what to do, on one screen`,
    ignore: !hasData,
    fn: async () => {
      await inFolder(async (folder) => {
        const path = new URL(name, DATA).pathname;
        const store = `${folder}/store`;
        const { code, stdout, stderr } = await gridwatch("run", path, "--exit", "--data", store);
        assert.ok(screenLines(stdout + stderr) <= LINES, stderr);
        if (typeof right === "number") {
          assert.equal(code, 0, stderr);
          assert.match(stderr, new RegExp(`= ${right.toLocaleString("en-US")} ok \\+`));
          return;
        }
        assert.equal(code, 1);
        assert.match(stderr, /^error: Cannot read /);
        assert.match(stderr, right);
        // There is nothing to do about an empty file.
        if (!/it is empty/.test(stderr)) assert.match(stderr, /\nhint: \S/);
        assert.deepEqual([...Deno.readDirSync(folder)], [], "no store is left");
      });
    },
  });
}
