/** What data, files, settings and servers put into our words is shown, and does nothing. */
import assert from "node:assert/strict";
import { SqliteStore } from "../../src/adapters/sqlite/store.ts";
import { troubleEvent } from "../../src/setup/kafka_worker.ts";
import { listen } from "../../src/console/listen.ts";
import { logEvent } from "../../src/console/log_event.ts";
import { draw, print, say } from "../../src/console/shell.ts";
import { visible } from "../../src/console/visible.ts";
import { LogError } from "../../src/engine/log/ports.ts";
import { commitOf } from "../adapters/commits.ts";
import { gridwatch, inFolder, keep } from "../commands/command_line.ts";

/** Writes a clipboard, clears the screen by a C1 control, turns the text round, and ends a line. */
const HOSTILE = "\x1b]52;c;ZXZpbA==\x07\x9b2J\u202ez\r\nerror: forged\x7f";
const SHOWN = String
  .raw`\u001b]52;c;ZXZpbA==\u0007\u009b2J\u202ez\r\nerror: forged\u007f`;
/** All that a terminal might act on: controls, and what has no shape but an effect. */
const ACTIVE = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u;

/** What the work writes to stderr, or to stdout. */
async function written(
  output: typeof Deno.stdout,
  work: () => void | Promise<unknown>,
): Promise<string> {
  const kept = keep(output);
  try {
    await work();
    return kept.text();
  } finally {
    kept.release();
  }
}

Deno.test("visible() writes every control, direction mark and unseen character as JSON would", () => {
  for (let code = 0; code < 0x20_000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const char = String.fromCodePoint(code);
    const shown = visible(char);
    if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(char)) {
      assert.match(shown, /^(\\[nrt]|(\\u[0-9a-f]{4}){1,2})$/);
      assert.equal(JSON.parse(`"${shown}"`), char);
    } else assert.equal(shown, char);
  }
  assert.equal(visible("\u{e0041}"), String.raw`\udb40\udc41`);
  assert.equal(visible("Zähler ☼ 😀"), "Zähler ☼ 😀");
  assert.equal(visible("\ud800"), "\ufffd");
});

Deno.test("say() is one line of the terminal, whatever it is given", async () => {
  assert.equal(await written(Deno.stderr, () => say(`note: ${HOSTILE}`)), `note: ${SHOWN}\n`);
});

Deno.test("draw() keeps the line's own CR and LF, and shows any other control", async () => {
  assert.equal(await written(Deno.stderr, () => draw("\ra\x1b[2J\n")), "\ra\\u001b[2J\n");
});

Deno.test("print() gives a pipe the answer as it is, and a terminal what it can show", async () => {
  assert.equal(await written(Deno.stdout, () => print(`a\n${HOSTILE}`)), `a\n${HOSTILE}\n`);
  const terminal = Object.assign(Deno.stdout, { isTerminal: () => true });
  try {
    const shown = await written(terminal, () => print("a\x1b]52\x07\n\x9bb"));
    assert.equal(shown, "a\\u001b]52\\u0007\n\\u009bb\n");
  } finally {
    Reflect.deleteProperty(Deno.stdout, "isTerminal");
  }
});

Deno.test("A line of the log stays JSON of the same values, with nothing in it that acts", async () => {
  const fields = { meter: HOSTILE, [HOSTILE]: "\u{e0041}\u2028" };
  const line = await written(
    Deno.stderr,
    () => logEvent({ level: "warn", event: "seen", fields }),
  );
  assert.doesNotMatch(line, ACTIVE);
  assert.equal(line.indexOf("\n"), line.length - 1);
  const { time: _, ...rest } = JSON.parse(line);
  assert.deepEqual(rest, { level: "warn", event: "seen", ...fields });
});

Deno.test("What Kafka says of an error is shown in the log", async () => {
  const trouble = new LogError(`Cannot reach ${HOSTILE}`, { hint: HOSTILE });
  const line = await written(Deno.stderr, () => logEvent(troubleEvent(trouble)));
  assert.doesNotMatch(line, ACTIVE);
  assert.equal(JSON.parse(line).error, `Cannot reach ${HOSTILE}`);
});

Deno.test("Options, words, commands, files, settings and SQL are named and do nothing", async (t) => {
  await inFolder(async (folder) => {
    const yaml = async (name: string, text: string) => {
      await Deno.writeTextFile(`${folder}/${name}`, text);
      return ["config", "--config", `${folder}/${name}`];
    };
    const csv = `${folder}/${HOSTILE.replaceAll("/", "")}.csv`;
    await Deno.writeTextFile(csv, `meter_id,timestamp,consumption_kwh\n"M1","${HOSTILE}",1\n`);
    await Deno.mkdir(`${folder}/store`);
    const store = await SqliteStore.open(`${folder}/store`);
    await store.commit(commitOf(0, 0));
    await store.close();
    const inStore = ["--data", `${folder}/store`];
    const lines: [name: string, args: string[]][] = [
      ["an unknown command", [HOSTILE]],
      ["an unknown option", ["run", `--${HOSTILE.replaceAll("=", "")}`]],
      ["a word too many", ["config", HOSTILE]],
      ["an option's value", ["replay", "x", `--rate=${HOSTILE}`]],
      ["a service", ["logs", HOSTILE]],
      ["brokers", ["topics", `--brokers=,${HOSTILE}`]],
      ["a file that is not there", ["run", `${folder}/no${HOSTILE}`]],
      ["a cell and the file's name", ["run", csv, "--exit", "--data", `${folder}/played`]],
      ["a settings file's name", ["config", "--config", `${folder}/no${HOSTILE}`]],
      ["a YAML key", await yaml("key.yaml", `${JSON.stringify(HOSTILE)}: 1\n`)],
      ["a YAML meter", await yaml("meter.yaml", `meters: {${JSON.stringify(HOSTILE)}: x}\n`)],
      ["a YAML value", await yaml("value.yaml", `timezone: "a\\e\\x9bz"\n`)],
      ["a YAML fault", await yaml("fault.yaml", "a: *\x9b2J\u202e\n")],
      ["a column in an SQL error", ["query", `SELECT "${HOSTILE}"`, ...inStore]],
      ["a function in an SQL error", ["query", `SELECT "${HOSTILE}"(1)`, ...inStore]],
      ["a folder", ["query", "SELECT 1", "--data", `${folder}/store/gridwatch.lock/${HOSTILE}`]],
    ];
    for (const [name, args] of lines) {
      await t.step(name, async () => {
        const { stdout, stderr } = await gridwatch(...args);
        assert.doesNotMatch(stderr + stdout, ACTIVE);
        assert.doesNotMatch(stderr, /^error: forged/m);
        assert.match(stderr, /\\u009b/);
      });
    }
    await t.step("an environment value", async () => {
      Deno.env.set("GRIDWATCH_TIMEZONE", HOSTILE);
      try {
        const { code, stderr } = await gridwatch("config");
        assert.equal(code, 2);
        assert.doesNotMatch(stderr, ACTIVE);
        assert.match(stderr, /^error: Cannot use GRIDWATCH_TIMEZONE=".*\\u009b/);
      } finally {
        Deno.env.delete("GRIDWATCH_TIMEZONE");
      }
    });
    await t.step("a cell and a column of a query's table", async () => {
      const { stdout } = await gridwatch("query", `SELECT '${HOSTILE}' AS "\x9b"`, ...inStore);
      assert.equal(stdout, `\\u009b\n${"─".repeat(SHOWN.length)}\n${SHOWN}\n`);
    });
  });
});

Deno.test("A fault that nobody caught is said, not printed by the runtime", async () => {
  const cli = new URL("../../cli.ts", import.meta.url).href;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const fault = `new Error("\\x1b]52;c;eA==\\x07\\x9b")`;
  const ways = [
    `Promise.reject(${fault})`,
    `setTimeout(() => { throw ${fault} })`,
    `setTimeout(async () => { throw ${fault} })`,
  ];
  for (const way of ways) {
    const code = `import { sayUncaught } from "${cli}"; sayUncaught(); ${way};`;
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--config", config, `data:text/javascript,${encodeURIComponent(code)}`],
      env: { NO_COLOR: "1" },
    });
    const ended = await command.output();
    const stderr = new TextDecoder().decode(ended.stderr);
    assert.equal(ended.code, 1, stderr);
    assert.match(stderr, /^error: a fault of Gridwatch itself.*\nError: \\u001b\]52/, way);
    assert.doesNotMatch(stderr, ACTIVE, way);
  }
});

Deno.test("A request's fault that nobody caught is said too, and answered with 500", async () => {
  const fault = () => Promise.reject(new Error(HOSTILE));
  const server = listen({ host: "127.0.0.1", port: 0, flag: "--port" }, fault);
  const stderr = await written(Deno.stderr, async () => {
    const response = await fetch(`http://127.0.0.1:${server.addr.port}/`);
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /forged/);
  });
  await server.shutdown();
  assert.equal(stderr, `error: ${SHOWN}\n`);
});
