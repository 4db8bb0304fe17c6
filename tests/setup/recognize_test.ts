import assert from "node:assert/strict";
import type { CsvColumns } from "../../src/formats/csv_header.ts";
import { ReadError } from "../../src/formats/read_error.ts";
import { findFiles } from "../../src/setup/meter_files.ts";
import { refuseUnread } from "../../src/setup/recognize.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { READ_BY_FORMAT, READABLE, UNREADABLE } from "../formats/unreadable_files.ts";

/** What is said of a file; null: it plays. */
function refusalOf(path: string, columns: CsvColumns = {}): ReadError | null {
  try {
    refuseUnread([path], columns);
    return null;
  } catch (error) {
    if (error instanceof ReadError) return error;
    throw error;
  }
}

async function writeFile(path: string, content: string | Uint8Array): Promise<void> {
  await Deno.writeFile(
    path,
    typeof content === "string" ? new TextEncoder().encode(content) : content,
  );
}

/** The columns that options name: `--time-column Start`. */
function columnsOf(add: readonly string[]): CsvColumns {
  const given: Record<string, string> = {};
  for (let i = 0; i < add.length; i += 2) given[add[i].slice(2, -"-column".length)] = add[i + 1];
  return given;
}

for (const { name, content, reason, isMended = false } of UNREADABLE) {
  Deno.test(`refuseUnread() says what ${name} is${isMended ? ", and how it plays" : ""}`, async () => {
    await inFolder(async (folder) => {
      const path = `${folder}/${name}`;
      await writeFile(path, content);
      const error = refusalOf(path) ?? assert.fail("it would be played");
      assert.ok(error.message.startsWith(`Cannot read "${path}": `));
      assert.match(error.message.slice(`Cannot read "${path}": `.length), reason);
      if (!isMended) return;
      const { add, instead } = error.again ?? assert.fail("no command is given");
      if (instead !== path) {
        const { code, stderr } = await new Deno.Command("sh", { args: ["-c", error.hint!] })
          .output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
      }
      assert.equal(refusalOf(instead, columnsOf(add)), null);
    });
  });
}

Deno.test("refuseUnread() lets what can be read be", async () => {
  await inFolder(async (folder) => {
    for (const [name, content] of READABLE) {
      await writeFile(`${folder}/${name}.csv`, content);
      assert.equal(refusalOf(`${folder}/${name}.csv`), null, name);
    }
  });
});

Deno.test("refuseUnread() reads a header line that is longer than its first look", async () => {
  await inFolder(async (folder) => {
    const wide = Array.from({ length: 20_000 }, (_, i) => `other_${i * 2}`).join(",");
    const path = `${folder}/wide.csv`;
    await writeFile(path, `${wide},meter_id,timestamp,consumption_kwh\n`);
    assert.equal(refusalOf(path), null);
  });
});

/** How many lines a terminal of 80 columns takes for a text. */
const screenLines = (text: string) =>
  text.trimEnd().split("\n").reduce(
    (sum, line) => sum + Math.max(1, Math.ceil(line.length / 80)),
    0,
  );

Deno.test("run of what cannot be read ends with 1, one message on one screen, and no store", async () => {
  await inFolder(async (folder) => {
    const store = `${folder}/the store`;
    for (const { name, content } of UNREADABLE) {
      if (Object.hasOwn(READ_BY_FORMAT, name)) continue;
      const path = `${folder}/${name}`;
      await writeFile(path, content);
      const { code, stdout, stderr } = await gridwatch("run", path, "--exit", "--data", store);
      assert.equal(code, 1, name);
      assert.equal(stdout, "", name);
      assert.match(stderr, /^error: Cannot read ".*": .*\n(hint: .*\n)?/, name);
      assert.equal(stderr.match(/^(error|hint|warning|note): /gm)!.length <= 2, true, stderr);
      assert.ok(screenLines(stderr) <= 24, `${name}: ${stderr}`);
      await assert.rejects(Deno.stat(store), Deno.errors.NotFound, name);
    }
  });
});

Deno.test("findFiles() finds the format of what no plain reader reads, and audit takes it", async () => {
  await inFolder(async (folder) => {
    for (const { name, content } of UNREADABLE) {
      if (!Object.hasOwn(READ_BY_FORMAT, name)) continue;
      const path = `${folder}/${name}`;
      await writeFile(path, content);
      assert.equal(
        (await findFiles([path], { columns: {} })).decided.format.value,
        READ_BY_FORMAT[name],
      );
      const { stdout, stderr } = await gridwatch("audit", path, "--json");
      // Some of them are beginnings alone, without a reading.
      assert.ok(JSON.parse(stdout || "{}").rows >= 0, `${name}: ${stderr}`);
    }
  });
});

Deno.test("run says the command again with what is missing, its --data and its odd names", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/it's mine.csv`;
    await writeFile(path, "ESIID,timestamp,kwh\n10000000001,2024-01-01 00:00,0.5\n");
    const options = ["--exit", "--quiet", "--data", `${folder}/s`];
    const { stderr } = await gridwatch("run", path, ...options);
    assert.equal(
      stderr.split("\n")[1],
      `hint: gridwatch run '${folder}/it'\\''s mine.csv' --exit --quiet --data ${folder}/s ` +
        "--meter-column ESIID",
    );
    const again = await gridwatch("run", path, ...options, "--meter-column", "ESIID");
    assert.equal(again.code, 0, again.stderr);
  });
});

Deno.test("replay, into a file or a topic, names what cannot be read too, and writes nothing", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/x.csv`;
    await writeFile(path, "%PDF-1.4");
    const raw = `${folder}/raw.jsonl`;
    for (const to of [["--output", raw], ["--brokers", "127.0.0.1:1"], ["--data", `${folder}/s`]]) {
      const { code, stderr } = await gridwatch("replay", path, ...to);
      assert.equal(code, 1);
      assert.match(stderr, /^error: Cannot read ".*": this is a PDF document\n/);
    }
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["x.csv"]);
  });
});

const SHARED = new URL("../../../shared/data/", import.meta.url);
const hasShared = await Deno.stat(SHARED).then(() => true, () => false);

/** What is said of real files, by the beginning of their paths; null: they play. */
const REAL: readonly (readonly [start: string, reason: RegExp | null])[] = [
  ["field/05-", /2 lines before its header on line 3, with values in W/],
  ["field/06-", /6 lines before its header on line 7, with date and time in two columns/],
  ["field/16-", /no meter column: found "ESIID"/],
  ["field/18-", /a wide file: a row a day, one column a half hour \(48\)/],
  ["field/", null],
  ["nem12/nem-reader-examples/invalid/Example_empty", /it is empty/],
  ["nem12/nem-reader-examples/unzipped/Example_NEM13", /this is NEM13/],
  ["nem12/nem-reader-examples/unzipped/", /this is NEM12/],
  ["nem12/nem-reader-examples/invalid/Example_NEM12_powercor.csv.zip", /a zip archive, of "Exa/],
  ["nem12/nem-reader-examples/invalid/", /this is NEM12/],
  ["nem12/nem-reader-examples/nem12/", /a zip archive, of "[Nn][Ee][Mm]12/],
  ["greenbutton/", /this is Green Button \(ESPI XML\); not read yet/],
  ["uci/", /one column a meter or register \("MT_208", "MT_210"\), a row a time/],
  ["ausgrid/", /one column a meter or register \("GC", "GG"\), a row a time/],
  ["london/london_2013", /an xz archive/],
  ["london/", null],
];

Deno.test({
  name: "refuseUnread() names every real file of ../shared/data as what it is",
  ignore: !hasShared,
  fn: () => {
    let count = 0;
    const visit = (folder: string) => {
      for (const { name, isDirectory } of Deno.readDirSync(new URL(folder || ".", SHARED))) {
        const path = `${folder}${name}`;
        if (isDirectory) visit(`${path}/`);
        const expected = REAL.find(([start]) => path.startsWith(start));
        if (isDirectory || expected === undefined || path.endsWith("README.md")) continue;
        const error = refusalOf(new URL(SHARED).pathname + path);
        if (expected[1] === null) assert.equal(error, null, path);
        else assert.match(error?.message ?? "it plays", expected[1], path);
        count++;
      }
    };
    visit("");
    assert.ok(count > 90, `only ${count} files`);
  },
});
