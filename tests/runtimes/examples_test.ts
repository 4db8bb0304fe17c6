/** Each of examples/ does what it says; and so do fifteen lines in a folder of one's own. */
import assert from "node:assert/strict";
import { inFolder } from "../commands/command_line.ts";
import { bundle, openChromium, openWorkerd, runtimeTest } from "./runtimes.ts";

const TOOLKIT = new URL("../../src/toolkit.ts", import.meta.url).pathname;
const decoder = new TextDecoder();

/** Ten readings of two meters; M1 misses two, M2 one. */
const READINGS = [
  ...["10:00", "10:30", "12:00", "12:30", "13:00"].map((time) => ["M1", time]),
  ...["10:00", "11:00", "11:30", "12:00", "12:30"].map((time) => ["M2", time]),
].map(([meterId, time]) => ({ meterId, at: `2013-01-01T${time}:00Z`, kwh: 0.25 }));

const RECORD_LINES = READINGS.map(({ meterId, at, kwh }) =>
  `${JSON.stringify({ meter_id: meterId, timestamp: at, consumption_kwh: kwh })}\n`
);

const GAPS = [
  "M1 CLOSED 2013-01-01T11:00:00Z to 2013-01-01T12:00:00Z: 2 missing",
  "M2 CLOSED 2013-01-01T10:30:00Z to 2013-01-01T11:00:00Z: 1 missing",
];

/** Runs a program, and gives what it prints. */
async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const command = new Deno.Command(program, { args: [...args], cwd });
  const { success, stdout, stderr } = await command.output();
  assert.ok(success, decoder.decode(stderr));
  return decoder.decode(stdout);
}

await runtimeTest(
  ["node"],
  "examples/node prints the gaps, and goes on with its state",
  () =>
    inFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/gaps.mjs`, await bundle("examples/node/gaps.ts"));
      await Deno.writeTextFile(`${folder}/all.jsonl`, RECORD_LINES.join(""));
      const whole = await run("node", ["gaps.mjs", "all.jsonl"], folder);
      assert.deepEqual(whole.trim().split("\n"), GAPS);
      // The gap of M2 lies between the two halves.
      await Deno.writeTextFile(`${folder}/a.jsonl`, RECORD_LINES.slice(0, 6).join(""));
      await Deno.writeTextFile(`${folder}/b.jsonl`, RECORD_LINES.slice(6).join(""));
      const first = await run("node", ["gaps.mjs", "a.jsonl", "state.bin"], folder);
      const second = await run("node", ["gaps.mjs", "b.jsonl", "state.bin"], folder);
      assert.deepEqual([first.trim(), second.trim()], GAPS);
    }),
);

await runtimeTest(
  ["workerd"],
  "examples/worker keeps the gaps of each meter, across a restart",
  () =>
    inFolder(async (folder) => {
      const script = await bundle("examples/worker/worker.ts");
      const bindings = {
        durableObjects: { METERS: { className: "Meter", useSQLite: true } },
        durableObjectsPersist: folder,
      };
      const post = (readings: unknown) => ({
        path: "/readings",
        method: "POST",
        body: JSON.stringify(readings),
      });
      {
        await using worker = await openWorkerd(script, bindings);
        const { status, text } = await worker.ask(post(READINGS.slice(0, 6)));
        assert.equal(status, 200, text);
        const accepted = (n: number) => ({ accepted: n, too_late: 0, rejected: [] });
        assert.deepEqual(JSON.parse(text), { M1: accepted(5), M2: accepted(1) });
      }
      await using worker = await openWorkerd(script, bindings);
      const again = await worker.ask(post([...READINGS.slice(4), { meterId: "M2", kwh: 1 }]));
      const { M1, M2 } = JSON.parse(again.text);
      assert.deepEqual(M1.rejected.map(({ reason }: { reason: string }) => reason), ["DUPLICATE"]);
      assert.deepEqual(M2.rejected.map(({ reason }: { reason: string }) => reason), [
        "DUPLICATE",
        "MISSING_FIELD",
      ]);
      const gapsOf = async (meter: string, at: string) => {
        const { text } = await worker.ask({ path: `/meters/${meter}/gaps?at=${at}` });
        return JSON.parse(text).map((gap: Record<string, unknown>) =>
          `${gap.missing_from} ${gap.missing_intervals} ${gap.state}`
        );
      };
      assert.deepEqual(await gapsOf("M1", "2013-01-01T13:15:00Z"), [
        "2013-01-01T11:00:00Z 2 CLOSED",
      ]);
      assert.deepEqual(await gapsOf("M2", "2013-01-01T13:15:00Z"), [
        "2013-01-01T10:30:00Z 1 CLOSED",
        "2013-01-01T13:00:00Z 1 OPEN",
      ]);
      assert.deepEqual(await gapsOf("M3", "2013-01-01T13:15:00Z"), []);
    }),
);

await runtimeTest(
  ["chromium"],
  "examples/browser shows the gaps of a file in the page",
  () =>
    inFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/readings.jsonl`, RECORD_LINES.join(""));
      const html = await Deno.readTextFile(
        new URL("../../examples/browser/index.html", import.meta.url),
      );
      const script = '<script type="module" src="page.js"></script>';
      assert.ok(html.includes(script));
      await using page = await openChromium(
        html.replace(script, ""),
        await bundle("examples/browser/page.ts"),
      );
      const file = `${folder}/readings.jsonl`;
      const shown = async (element: string) =>
        (await page.ask<{ text: string }>({ input: "#readings", file, shown: element })).text;
      assert.equal(await shown("#summary"), "10 readings accepted, 0 repeated, 0 rejected, 2 gaps");
      assert.deepEqual((await shown("#gaps")).split("\n").map((row) => row.trim().split("\t")), [
        ["M1", "2013-01-01T11:00:00Z", "2013-01-01T12:00:00Z", "2", "CLOSED"],
        ["M2", "2013-01-01T10:30:00Z", "2013-01-01T11:00:00Z", "1", "CLOSED"],
      ]);
    }),
);

/** A program of fifteen lines, with nothing beside it but its readings. */
function fifteenLines(toolkit: string): string {
  const program = `import { createJudge } from "${toolkit}";
import readings from "./readings.json" with { type: "json" };

const judge = createJudge({ intervalMinutes: 30, scope: "meter" });
for (const reading of readings) judge.reading(reading);
const latest = new Map();
for (const gap of judge.take().gaps) latest.set(gap.gap_id, gap);
const lines = [...latest.values()].map((gap) =>
  \`\${gap.meter_id} \${gap.state} \${gap.missing_from} to \${gap.missing_to}: \` +
  \`\${gap.missing_intervals} missing\`
);
console.log(lines.join("\\n"));
export default { fetch: () => new Response(lines.join("\\n")) };
Object.assign(globalThis, { gaps: () => ({ text: lines.join("\\n") }) });
`;
  assert.ok(program.trim().split("\n").length <= 15);
  return program;
}

/** A folder of its own with the program and its readings. */
function withProgram(
  { toolkit, imports }: { toolkit: string; imports?: Record<string, string> },
  work: (folder: string) => Promise<void>,
): Promise<void> {
  return inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/readings.json`, JSON.stringify(READINGS));
    await Deno.writeTextFile(`${folder}/gaps.ts`, fifteenLines(toolkit));
    if (imports !== undefined) {
      await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));
    }
    await work(folder);
  });
}

async function bundleIn(folder: string): Promise<string> {
  return await run(Deno.execPath(), ["bundle", "--quiet", "--platform=browser", "gaps.ts"], folder);
}

const BY_PATH = { toolkit: TOOLKIT };
const BY_MAP = { toolkit: "gridwatch", imports: { gridwatch: TOOLKIT } };

for (const [how, by] of Object.entries({ "a path": BY_PATH, "an import map": BY_MAP })) {
  Deno.test(`Fifteen lines outside the clone print the gaps under Deno, by ${how}`, () =>
    withProgram(by, async (folder) => {
      const text = await run(Deno.execPath(), ["run", "--no-prompt", "gaps.ts"], folder);
      assert.deepEqual(text.trim().split("\n"), GAPS);
    }));
}

await runtimeTest(
  ["node"],
  "Fifteen lines outside the clone print the gaps under Node",
  () =>
    withProgram(BY_MAP, async (folder) => {
      await Deno.writeTextFile(`${folder}/gaps.mjs`, await bundleIn(folder));
      assert.deepEqual((await run("node", ["gaps.mjs"], folder)).trim().split("\n"), GAPS);
    }),
);

await runtimeTest(
  ["workerd"],
  "Fifteen lines outside the clone answer the gaps in workerd",
  () =>
    withProgram(BY_PATH, async (folder) => {
      await using worker = await openWorkerd(await bundleIn(folder));
      assert.deepEqual((await worker.ask({ path: "/" })).text.split("\n"), GAPS);
    }),
);

await runtimeTest(
  ["chromium"],
  "Fifteen lines outside the clone say the gaps in a page",
  () =>
    withProgram(BY_MAP, async (folder) => {
      await using page = await openChromium("<!doctype html>", await bundleIn(folder));
      const { text } = await page.ask<{ text: string }>({ call: "gaps", argument: null });
      assert.deepEqual(text.split("\n"), GAPS);
    }),
);
