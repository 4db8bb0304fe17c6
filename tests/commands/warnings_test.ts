/** What `run` says of files that something is wrong with, and how it ends. */
import assert from "node:assert/strict";
import type { Warning } from "../../src/replay/records.ts";
import { assertAnswer } from "../schemas.ts";
import { gridwatch, inFolder } from "./command_line.ts";

const HEADER = "meter_id,timestamp,consumption_kwh";
const CLI = new URL("../../cli.ts", import.meta.url).pathname;

/** The half hours of days of a meter, with what stands behind the time. */
function rows(rest: (n: number) => string, { days = 2, day = "2024-01-" } = {}): string[] {
  return Array.from({ length: 48 * days }, (_, n) => {
    const date = String(1 + Math.floor(n / 48)).padStart(2, "0");
    const hour = String((n >> 1) % 24).padStart(2, "0");
    return `M1,${day}${date}T${hour}:${n % 2 ? "30" : "00"}:00Z,${rest(n)}`;
  });
}

const used = (n: number) => ((n * 37) % 50 / 100 + 0.1).toFixed(3);
const fileOf = (lines: readonly string[], header = HEADER) => [header, ...lines, ""].join("\n");

/** Runs a file into a store of its own. */
async function runFile(folder: string, content: string, ...options: string[]) {
  const csv = `${folder}/x.csv`;
  await Deno.writeTextFile(csv, content);
  const store = `${folder}/store`;
  const { code, stdout, stderr } = await gridwatch(
    ...["run", csv, "--exit", "--json", "--data", store, ...options],
  );
  const answer = JSON.parse(stdout);
  await assertAnswer("run.json", answer);
  const codes: string[] = answer.warnings.map(({ code }: Warning) => code);
  return { code, answer, codes, stderr };
}

/** Files of which no row can be used, and what is suggested. */
const USELESS: Record<string, { readonly content: string; readonly hint: RegExp }> = {
  "negative values": {
    content: fileOf(rows((n) => `-${used(n)}`)),
    hint: /^GRIDWATCH_VALIDATION_NEGATIVE=flag gridwatch run /,
  },
  "values in watt hours of a whole town": {
    content: fileOf(rows((n) => `9${used(n).replace(".", "")}000`)),
    hint: /^GRIDWATCH_VALIDATION_MAX_KWH=1000000000 gridwatch run /,
  },
  "the years of before": {
    content: fileOf(rows(used, { day: "1999-01-" })),
    hint: /^GRIDWATCH_VALIDATION_MIN_TIMESTAMP=1900-01-01 gridwatch run /,
  },
  "times to come": {
    content: fileOf(rows(used, { day: "2124-01-" })),
    hint: / --now 2124-01-02T23:30:00Z --fresh$/,
  },
  "values in another column": {
    content: fileOf(rows((n) => `x,${used(n)}`), `${HEADER},Import kWh`),
    hint: / --value-column 'Import kWh' --fresh$/,
  },
  "times in another column": {
    content: fileOf(
      rows(used).map((row) => row.replace(/,(.*),/, ",01.01.2024,$1,")),
      "meter_id,timestamp,Start,kwh",
    ),
    hint: / --time-column Start --fresh$/,
  },
};

for (const [what, { content, hint }] of Object.entries(USELESS)) {
  Deno.test(`run of ${what} alone exits 1 with a command that plays them`, async () => {
    await inFolder(async (folder) => {
      const { code, answer, codes, stderr } = await runFile(folder, content);
      assert.equal(code, 1);
      assert.ok(codes.includes("all_rejected"));
      assert.equal(answer.ledger.rejected, 96);
      assert.equal(answer.unusable_meters, 1);
      assert.match(
        stderr,
        /\nerror: Cannot use anything of this: every row is rejected: .*x\.csv:2/,
      );
      const said = stderr.trimEnd().split("\n").at(-1) ?? "";
      const command = said.replace(/^hint: /, "");
      assert.match(command, hint);
      assert.ok(command.includes(`--data ${folder}/store`));
      const pasted = await paste(command);
      assert.equal(pasted.code, 0, pasted.stderr);
      assert.equal(JSON.parse(pasted.stdout).ledger.ok, 96);
    });
  });
}

/** Gives a command to a shell, as somebody who pastes it. */
async function paste(command: string) {
  const gridwatch = `gridwatch() { '${Deno.execPath()}' run -A --no-check '${CLI}' "$@"; }`;
  const shell = new Deno.Command("sh", { args: ["-c", `${gridwatch}; ${command}`] });
  const { code, stdout, stderr } = await shell.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("run of dates with slashes says how a time is to be, for no option reads them", async () => {
  await inFolder(async (folder) => {
    const { code, codes, stderr } = await runFile(
      folder,
      fileOf(rows(used).map((row) => row.replace("2024-01-01T", "1/31/2024 "))),
    );
    assert.equal(code, 0, "the second day is as it is to be");
    assert.ok(!codes.includes("all_rejected"));
    await Deno.remove(`${folder}/store`, { recursive: true });
    const all = rows(used).map((row) => row.replace(/2024-01-(..)T/, "1/$1/2024 "));
    const none = await runFile(folder, fileOf(all));
    assert.equal(none.code, 1, stderr);
    assert.match(none.stderr, /no usable timestamp; first in .*x\.csv:2: 1\/01\/2024 00:00:00Z\n/);
    assert.match(none.stderr, /\nhint: .*2024-01-31 13:30/);
  });
});

Deno.test("run of a file without rows exits 1 and leaves no store, but one that was there", async () => {
  await inFolder(async (folder) => {
    const empty = await runFile(folder, `${HEADER}\n`);
    assert.equal(empty.code, 1);
    assert.deepEqual(empty.codes, ["no_rows"]);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["x.csv"]);
    assert.equal((await runFile(folder, fileOf(rows(used)))).code, 0);
    const after = await runFile(folder, `${HEADER}\n`);
    assert.deepEqual([after.code, after.answer.ledger.ok], [1, 96]);
  });
});

Deno.test("run that fails before anything is committed leaves no store", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/x.jsonl`, "");
    const { code } = await gridwatch("run", `${folder}/x.jsonl`, "--exit", "--data", `${folder}/s`);
    assert.equal(code, 1);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["x.jsonl"]);
  });
});

Deno.test("run --json names the cause of what looks wrong", async (t) => {
  const again = rows(used);
  let sum = 0;
  const register = rows((n) => (sum += Number(used(n))).toFixed(3));
  const swapped = [0, 1, 2].flatMap((month) =>
    rows(used, { day: `2024-0${month + 1}-` }).slice(0, 72)
  );
  const cases: Record<string, { readonly lines: readonly string[]; readonly codes: string[] }> = {
    "nothing": { lines: rows(used), codes: [] },
    "a day of a month twice": {
      lines: [...rows(used, { days: 31 }), ...again.slice(0, 48)],
      codes: ["sent_again"],
    },
    "a day twice": { lines: [...again, ...again.slice(0, 48)], codes: ["sent_again"] },
    "two values a time": {
      lines: [...rows(used), ...rows((n) => used(n + 7))],
      codes: ["two_channels"],
    },
    "a register": { lines: register, codes: ["register"] },
    "days 1 and 2 of three months": { lines: swapped, codes: ["day_month_swapped"] },
    "five readings": { lines: rows(used).slice(0, 5), codes: ["unjudged"] },
    "hours, then half hours": {
      lines: rows(used).filter((_, n) => n >= 48 || n % 2 === 0),
      codes: ["interval_changed"],
    },
  };
  for (const [what, { lines, codes }] of Object.entries(cases)) {
    await t.step(what, async () => {
      await inFolder(async (folder) => {
        const ran = await runFile(folder, fileOf(lines));
        assert.equal(ran.code, 0);
        assert.deepEqual(ran.codes, codes);
        const { unjudged_meters: unjudged, interval_changes: changes } = ran.answer;
        assert.equal(unjudged, codes.includes("unjudged") ? 1 : 0);
        assert.equal(changes, codes.includes("interval_changed") ? 1 : 0);
        for (const { text } of ran.answer.warnings) assert.ok(ran.stderr.includes(text), text);
        // What was said of an input is said again by who plays it again.
        const once = (await runFile(folder, fileOf(lines))).codes;
        assert.deepEqual(once, codes);
      });
    });
  }
});

Deno.test("run says that settings changed since the store was played into, and --fresh forgets it", async () => {
  await inFolder(async (folder) => {
    const content = fileOf(rows(used));
    assert.deepEqual((await runFile(folder, content)).codes, []);
    const config = `${folder}/config.yaml`;
    await Deno.writeTextFile(config, "allowed_lateness_seconds: 7200\n");
    const same = await runFile(folder, content, "--config", config);
    assert.deepEqual(same.codes, ["settings_changed"]);
    assert.match(same.stderr, /allowed_lateness_seconds is 7200, was 3600; .* without --fresh\n/);
    const next = await runFile(
      folder,
      fileOf(rows(used, { day: "2024-02-" })),
      ...["--config", config],
    );
    assert.deepEqual(next.codes, ["settings_changed"]);
    assert.equal(next.answer.ledger.ok, 192);
    const fresh = await runFile(folder, content, "--config", config, "--fresh");
    assert.deepEqual([fresh.codes, fresh.answer.ledger.ok], [[], 96]);
  });
});
