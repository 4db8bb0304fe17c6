/** Files that change while they are played: never finished, never mixed. */
import assert from "node:assert/strict";
import { SqliteStore } from "../../src/adapters/sqlite/store.ts";
import { playFiles } from "../../src/setup/embedded.ts";
import {
  breakableRecords,
  type InputOptions,
  inputRecords,
  nameInput,
  openInput,
} from "../../src/setup/input.ts";
import { LiveTracker } from "../../src/setup/live.ts";
import {
  claimFiles,
  formatNote,
  readNote,
  refuseOtherContent,
} from "../../src/setup/replay_claim.ts";
import { readConfig } from "../../src/config.ts";
import { formatTimestamp } from "../../src/core/time.ts";
import { playIntoLog, storedReplay } from "../../src/engine/log/player.ts";
import { ReadError } from "../../src/formats/read_error.ts";
import { emptyFleet, reliable, TOPICS } from "../engine/log/log_fleet.ts";
import { inFolder } from "./command_line.ts";

const HEADER = "meter_id,timestamp,consumption_kwh\n";
const START_MS = Date.parse("2024-01-01T00:00:00Z");
const METERS = 40;
const SLOTS = 700;
const CONFIG = readConfig(null, () => undefined);

const row = (meter: number, slot: number) =>
  `M${meter},${formatTimestamp(START_MS + slot * 1_800_000)},0.5\n`;
const count = (length: number) => Array.from({ length }, (_, n) => n);
/** Of a fleet, 1 MB: many pieces, and some chunks. */
const BY_TIME = HEADER +
  count(SLOTS).map((slot) => count(METERS).map((meter) => row(meter, slot)).join("")).join("");
const BY_METER = HEADER +
  count(METERS).map((meter) => count(SLOTS).map((slot) => row(meter, slot)).join("")).join("");
const OTHER_METERS = BY_TIME.replaceAll("M", "N");
const RECORDED = BY_TIME.slice(HEADER.length).replaceAll(
  /(.*),(.*),(.*)\n/g,
  '{"meter_id":"$1","timestamp":"$2","consumption_kwh":$3}\n',
);

/** Ways for a file to change: all of them behind the first pieces of it. */
const CHANGES: Record<string, (path: string) => void> = {
  "is truncated": (path) => Deno.truncateSync(path, Deno.statSync(path).size >> 1),
  "is truncated at a piece's end": (path) => Deno.truncateSync(path, 10 << 16),
  "is written over at the same size": (path) => writeOver(path),
  "is written over at the same size and time": (path) => {
    const { atime, mtime } = Deno.statSync(path);
    writeOver(path);
    Deno.utimeSync(path, atime!, mtime!);
  },
  "grows": (path) => Deno.writeTextFileSync(path, row(1, SLOTS), { append: true }),
  "is replaced by another": (path) => {
    Deno.writeTextFileSync(`${path}.new`, Deno.readTextFileSync(path).replaceAll("0.5", "0.7"));
    Deno.renameSync(`${path}.new`, path);
  },
  "is removed": (path) => Deno.removeSync(path),
};

/** Other values in the second half, but for its end: the edges stay as they are. */
function writeOver(path: string): void {
  const text = Deno.readTextFileSync(path);
  const [from, to] = [text.length >> 1, text.length - (2 << 16)];
  const changed = text.slice(from, to).replaceAll("0.5", "0.9");
  Deno.writeTextFileSync(path, text.slice(0, from) + changed + text.slice(to));
}

const INPUTS: Record<string, { files: Record<string, string>; changed: string }> = {
  "a file": { files: { "a.csv": BY_TIME }, changed: "a.csv" },
  "a file that is sorted first": { files: { "a.csv": BY_METER }, changed: "a.csv" },
  "one of two files": {
    files: { "a.csv": BY_TIME, "b.csv": OTHER_METERS },
    changed: "b.csv",
  },
  "a recording": { files: { "a.jsonl": RECORDED }, changed: "a.jsonl" },
  "the second of two recordings": {
    files: { "a.jsonl": RECORDED, "b.jsonl": RECORDED },
    changed: "b.jsonl",
  },
};

function inputOptions(folder: string): InputOptions {
  return {
    config: CONFIG,
    partitions: 1,
    nowMs: START_MS + 400 * 86_400_000,
    defects: {
      gapProbability: 0,
      delayProbability: 0,
      maxDelaySeconds: 300,
      duplicateProbability: 0,
      seed: 1,
    },
    columns: {},
    temporaryDirectory: `${folder}/tmp`,
    signal: new AbortController().signal,
    endsRecorded: true,
  };
}

function writeInput(folder: string, files: Record<string, string>): string[] {
  return Object.entries(files).map(([name, text]) => {
    Deno.writeTextFileSync(`${folder}/${name}`, text);
    return `${folder}/${name}`;
  });
}

/** The records of files as one text, with the error that ended them; `onChunk` hears of each. */
async function recordsOf(paths: readonly string[], options: InputOptions, onChunk = () => {}) {
  const input = await openInput(await nameInput("run", paths, options), options);
  let text = "";
  try {
    for await (const { bytes } of inputRecords(input, options)) {
      text += new TextDecoder().decode(bytes);
      onChunk();
    }
  } catch (error) {
    return { text, error: error as Error };
  }
  return { text, error: null };
}

for (const [what, { files, changed }] of Object.entries(INPUTS)) {
  Deno.test(`inputRecords() ends in an error, and never in other rows, where ${what} changes`, async (t) => {
    await inFolder(async (folder) => {
      const options = inputOptions(folder);
      const straight = await recordsOf(writeInput(folder, files), options);
      assert.equal(straight.error, null);
      for (const [how, change] of Object.entries(CHANGES)) {
        await t.step(how, async () => {
          const paths = writeInput(folder, files);
          const path = `${folder}/${changed}`;
          let chunks = 0;
          const { text, error } = await recordsOf(paths, options, () => {
            if (++chunks === 1) change(path);
          });
          if (how.endsWith("same size and time") && text === straight.text) {
            // Sorted first, all of it had been read: what was played is what was seen.
            assert.equal(what, "a file that is sorted first");
            return;
          }
          assert.ok(error instanceof ReadError, `${error}`);
          assert.ok(error.message.startsWith(`Cannot read "${path}": `), error.message);
          assert.match(error.message, /: it changed while|: there is no such file$/);
          assert.ok(text.length > 0 && straight.text.startsWith(text));
        });
      }
    });
  });
}

Deno.test("inputRecords() ends in an error where a file changed between its name and its look", async () => {
  await inFolder(async (folder) => {
    const options = inputOptions(folder);
    const [path] = writeInput(folder, { "a.csv": BY_TIME });
    const named = await nameInput("run", [path], options);
    CHANGES.grows(path);
    const input = await openInput(named, options);
    await assert.rejects(Array.fromAsync(inputRecords(input, options)), {
      name: "ReadError",
      message: 'Cannot read "a.csv": it changed while it was being replayed',
    });
  });
});

/** Plays into the store as `run` does; `onProgress` hears of each chunk. */
async function play(
  store: SqliteStore,
  { folder, paths, onProgress = () => {} }: {
    folder: string;
    paths: readonly string[];
    onProgress?: () => void;
  },
) {
  class Tracker extends LiveTracker {
    override progress(): void {
      onProgress();
    }
  }
  const { config, defects, nowMs, signal } = inputOptions(folder);
  const { isFinished, readings } = await playFiles(store, {
    ...{ command: "run", paths, directory: folder, partitions: null, columns: {} },
    ...{ config, defects, nowMs, signal, ratePerSecond: Infinity, isSilent: true },
    live: new Tracker(() => 0),
  });
  return { isFinished, readings };
}

const rawOf = async (store: SqliteStore) =>
  Number((await store.query("SELECT COALESCE(sum(raw - tick), 0) AS n FROM ledger")).rows[0].n);

Deno.test("playFiles() keeps what it judged of a file that changes, unfinished, and mixes nothing", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "gridwatch-changed-" });
  const store = await SqliteStore.open(directory);
  const rows = METERS * SLOTS;
  const isUnfinished = { name: "UsageError", message: /a\.csv is unfinished in .* other bytes/ };
  try {
    await inFolder(async (folder) => {
      const paths = writeInput(folder, { "a.csv": BY_TIME });
      let kept = 0;
      await t.step("truncated on its way", async () => {
        let isTruncated = false;
        const onProgress = () => {
          if (!isTruncated) CHANGES["is truncated"](paths[0]);
          isTruncated = true;
        };
        await assert.rejects(play(store, { folder, paths, onProgress }), ReadError);
        kept = await rawOf(store);
        assert.ok(kept > 0 && kept <= rows / 2, `${kept} rows`);
        assert.equal((await store.lastInput())?.finished, false);
      });
      await t.step("refused as it is now", async () => {
        await assert.rejects(play(store, { folder, paths }), isUnfinished);
      });
      await t.step("refused where neither its size nor its edges tell", async () => {
        writeInput(folder, { "a.csv": BY_TIME });
        CHANGES["is written over at the same size"](paths[0]);
        await assert.rejects(play(store, { folder, paths }), isUnfinished);
        assert.equal(await rawOf(store), kept);
      });
      await t.step("played to its end as it was", async () => {
        writeInput(folder, { "a.csv": BY_TIME });
        const ended = await play(store, { folder, paths });
        assert.deepEqual(ended, { isFinished: true, readings: rows - kept });
        assert.equal(await rawOf(store), rows);
        assert.deepEqual(await play(store, { folder, paths }), { isFinished: true, readings: 0 });
      });
      await t.step("with another middle it is not the one that was played", async () => {
        CHANGES["is written over at the same size"](paths[0]);
        assert.deepEqual(await play(store, { folder, paths }), {
          isFinished: true,
          readings: rows,
        });
      });
    });
  } finally {
    await store.close();
    await Deno.remove(directory, { recursive: true });
  }
});

/** Plays into the raw topic of a memory log, as `replay --kafka` does into Kafka. */
function logPlayer(folder: string) {
  const fleet = emptyFleet(1);
  const options = inputOptions(folder);
  const of = { topic: TOPICS.raw, partitions: 1, admin: reliable(fleet).admin() };
  return async (paths: readonly string[], onProgress = () => {}) => {
    const client = reliable(fleet);
    const named = await nameInput("replay", paths, options);
    const group = `g-replay-${named.fingerprint.slice(0, 16)}`;
    const stored = await storedReplay({ ...of, group });
    const input = await openInput(named, options);
    const committer = (id: string) => client.committer(id);
    const claim = { ...of, command: "replay", prefix: "g-replay-", group, committer };
    refuseOtherContent(readNote(stored), input, claim);
    if (stored === null) await claimFiles(input, claim);
    const { records, signal, throwIfBroken } = breakableRecords(input, options);
    const played = await playIntoLog(records, {
      ...of,
      ...{ group, clock: fleet.clock, signal, onProgress },
      committer: () => client.committer(`${group}-0`),
      batchRecordsMax: 1000,
      replayStartMs: options.nowMs,
      note: formatNote({ nowMs: options.nowMs, content: input.stream }),
      commitIntervalMs: 100,
      ratePerSecond: Infinity,
    });
    throwIfBroken();
    return { played, isFinished: (await storedReplay({ ...of, group }))?.isFinished };
  };
}

Deno.test("A replay into a topic keeps what it sent of a file that changes, and mixes nothing", async (t) => {
  for (const [name, text] of [["a.csv", BY_TIME], ["a.jsonl", RECORDED]]) {
    await inFolder(async (folder) => {
      const player = logPlayer(folder);
      const paths = writeInput(folder, { [name]: text });
      const isThere = { name: "UsageError", message: /a part of it is there, .* other bytes/ };
      const straight = await logPlayer(folder)(paths);
      for (const how of ["is truncated", "is written over at the same size and time", "grows"]) {
        await t.step(`${name} ${how}`, async () => {
          writeInput(folder, { [name]: text });
          let isChanged = false;
          const change = () => {
            if (!isChanged) CHANGES[how](paths[0]);
            isChanged = true;
          };
          if (how === "is truncated") await assert.rejects(player(paths, change), ReadError);
          else change();
          await assert.rejects(player(paths), isThere);
        });
      }
      await t.step(`${name} as it was`, async () => {
        writeInput(folder, { [name]: text });
        const { played, isFinished } = await player(paths);
        assert.equal(isFinished, true);
        assert.ok(played.resumedAfter > 0);
        assert.equal(played.resumedAfter + played.sent, straight.played.sent);
      });
      await t.step(`${name} grown is another replay`, async () => {
        CHANGES.grows(paths[0]);
        const { played, isFinished } = await player(paths);
        assert.equal(isFinished, true);
        assert.equal(played.resumedAfter, 0);
      });
    });
  }
});

Deno.test("replay --output ends with exit code 1 where the file is truncated on its way", async () => {
  await inFolder(async (folder) => {
    const [path] = writeInput(folder, { "a.csv": BY_TIME });
    const cli = new URL("../../cli.ts", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", cli, "replay", path, "--output", "-", "--quiet"],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    // It cannot go on before the pipe is read: what it sends is several times what a pipe holds.
    const reader = child.stdout.getReader();
    await reader.read();
    CHANGES["is truncated"](path);
    while (!(await reader.read()).done);
    const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
    assert.equal(code, 1);
    assert.match(stderr, /^error: Cannot read ".*a\.csv": it changed .*\nhint: copy it .*\n$/);
  });
});
