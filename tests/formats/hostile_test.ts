/** Files that are damaged, made to do harm, or changed under way: one clear message each. */
import assert from "node:assert/strict";
import { gzipSync, strToU8, zipSync } from "fflate";
import { denoFiles } from "../../src/adapters/deno/files.ts";
import { crc32 } from "../../src/formats/crc32.ts";
import { ReadError } from "../../src/formats/read_error.ts";
import { inspectFiles } from "../../src/replay/inspect.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { inDirectory, PLAIN, writeFiles } from "../replay/fixture.ts";
import { workbook } from "./packed_files.ts";

const HEADER = "meter_id,timestamp,consumption_kwh\n";
const TABLE = HEADER + Array.from({ length: 4800 }, (_, n) => {
  const at = new Date(Date.UTC(2024, 0, 1) + n * 1_800_000).toISOString();
  return `A,${at},${(n * 7919) % 1000 / 1000}\n`;
}).join("");
const GZIP = gzipSync(strToU8(TABLE));
const ZIP = zipSync({ "a.csv": strToU8(TABLE) });
const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const changedAt = (bytes: Uint8Array, at: number) =>
  bytes.map((byte, n) => n === at ? byte ^ 0xff : byte);
/** As some put a password on the archive: its entries are marked as encrypted. */
function encrypted(zip: Uint8Array): Uint8Array {
  const bytes = zip.slice();
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 4 < bytes.length; at++) {
    if (view.getUint32(at, true) === 0x02014b50) bytes[at + 8] |= 1;
  }
  return bytes;
}
const BOMB = strToU8(HEADER + " ".repeat(80 << 20));
const OLE = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "\0".repeat(1000) +
  [..."EncryptedPackage"].map((char) => `${char}\0`).join("") + "\0".repeat(100);

const HOSTILE: readonly (readonly [name: string, content: Uint8Array, message: RegExp])[] = [
  ["cut.csv.gz", GZIP.subarray(0, GZIP.length >> 1), /its gzip data end too early, or are damaged/],
  ["begun.csv.gz", GZIP.subarray(0, 11), /its gzip data end too early, or are damaged|before any/],
  ["bad.csv.gz", changedAt(GZIP, GZIP.length >> 1), /its gzip data .*are damaged/],
  ["sum.csv.gz", changedAt(GZIP, GZIP.length - 6), /are damaged \(their checksum is another\)/],
  ["cut.zip", ZIP.subarray(0, ZIP.length >> 1), /its directory is missing: it ends too early/],
  ["bad.zip", changedAt(ZIP, ZIP.length >> 1), /damaged|more than its directory says|too early/],
  ["locked.zip", encrypted(ZIP), /it is encrypted\nhint: unpack it with its password/],
  ["bomb.csv.gz", gzipSync(BOMB), /it unpacks to more than 250 times its size, and more than 64 M/],
  ["bomb.zip", zipSync({ "b.csv": BOMB }), /it unpacks to more than 250 times its size, and more/],
  ["locked.xlsx", latin1(OLE), /this is an encrypted Excel workbook\nhint: open it with its pass/],
  ["cut.xlsx", workbook({ A: [["x"]] }).subarray(0, 300), /its directory is missing/],
  ["cut.parquet", latin1("PAR1\x15\x04\x15\x10 and no more PAR1"), /its Parquet data .*damaged/],
  ["column.csv", strToU8("x".repeat(3 << 20)), /no meter, no time and no value column: found "xxx/],
];

for (const [name, content, message] of HOSTILE) {
  Deno.test(`${name}: audit and run say what is wrong, and make nothing`, async () => {
    await inFolder(async (folder) => {
      const path = `${folder}/${name}`;
      await Deno.writeFile(path, content);
      for (const args of [["audit", path], ["run", path, "--exit", "--data", `${folder}/s`]]) {
        const { code, stderr } = await gridwatch(...args);
        assert.equal(code, 1, `${args[0]}: ${stderr}`);
        assert.match(stderr, message, args[0]);
        assert.match(stderr, /^error: Cannot read "/m);
        assert.equal(stderr.match(/^error: /gm)?.length, 1, stderr);
      }
    });
  });
}

Deno.test("A table of 1,000 columns is read, and a line that never ends costs its own row", async () => {
  const names = Array.from({ length: 997 }, (_, n) => `note_${n}x`).join(",");
  const notes = ",y".repeat(997);
  const wide = TABLE.replace("\n", `,${names}\n`).replaceAll(/(?<=\.\d+|,0)\n/g, `${notes}\n`);
  await inFolder(async (folder) => {
    const path = `${folder}/a.csv`;
    await Deno.writeTextFile(path, wide.slice(0, 200_000));
    assert.equal((await gridwatch("audit", path)).code, 0);
    await Deno.writeTextFile(path, `${TABLE}A,${"x".repeat(8 << 20)}\nA,2024-04-10T00:00:00Z,1\n`);
    const { code, stdout } = await gridwatch("audit", path, "--json");
    const { rejected, accepted } = JSON.parse(stdout);
    assert.deepEqual([code, rejected, accepted], [0, { MALFORMED: 1 }, 4801]);
  });
});

Deno.test("A directory, and a file that may not be read or is not there, are told as that", async () => {
  await inFolder(async (folder) => {
    const nobody = await gridwatch("audit", `${folder}/none.csv`);
    assert.deepEqual([nobody.code, /no such file/.test(nobody.stderr)], [1, true]);
    const directory = await gridwatch("audit", folder);
    assert.match(directory.stderr, /it is not a file\nhint: name the files in it/);
  });
  const refused = new Deno.errors.PermissionDenied("Permission denied (os error 13): open 'a'");
  const open = Deno.openSync;
  Deno.openSync = () => {
    throw refused;
  };
  try {
    assert.throws(() => denoFiles.open("a.csv"), (error) => {
      assert.ok(error instanceof ReadError);
      assert.equal(error.message, 'Cannot read "a.csv": Permission denied');
      return /may not read it/.test(error.hint ?? "");
    });
  } finally {
    Deno.openSync = open;
  }
});

Deno.test("inspectFiles() tells a file that grows while it is read, or is cut", async () => {
  await inDirectory(async (directory) => {
    const [path] = writeFiles(directory, [TABLE]);
    const told = async (sizeBytes: number) => {
      const files = {
        ...denoFiles,
        open: (path: string) => ({ ...denoFiles.open(path), sizeBytes }),
      };
      const { files: [{ faults }] } = await inspectFiles([path], { ...PLAIN, files });
      return faults;
    };
    assert.deepEqual(await told(TABLE.length), []);
    assert.deepEqual(await told(1000), [
      `it grew while it was read, from 1000 bytes to ${TABLE.length}`,
    ]);
    assert.match((await told(1e9))[0], /^it was cut while it was read/);
  });
});

Deno.test("crc32() is that of gzip and zip, whatever pieces the bytes come in", () => {
  const bytes = strToU8("123456789");
  assert.equal(crc32(bytes), 0xcbf43926);
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.equal(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut))), 0xcbf43926);
  }
  const long = strToU8("The quick brown fox jumps over the lazy dog");
  assert.equal(crc32(long), 0x414fa339);
});
