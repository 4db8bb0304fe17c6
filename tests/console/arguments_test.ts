import assert from "node:assert/strict";
import { readArguments, refuseTogether } from "../../src/console/arguments.ts";
import { UsageError } from "../../src/console/errors.ts";
import { gridwatch } from "../commands/command_line.ts";

const OPTIONS = {
  data: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

Deno.test("readArguments() says in one sentence what cannot be read", () => {
  const cases: [args: string[], reason: string][] = [
    [["--date", "x"], "unknown option --date"],
    [["-x"], "unknown option -x"],
    [["--data"], "--data needs a value"],
    [["--data", "-x"], "--data needs a value (--data=-… for one that begins with a dash)"],
    [["--help=yes"], "--help takes no value"],
    [["s1"], 'unexpected "s1"'],
  ];
  for (const [args, reason] of cases) {
    const refuse = () => readArguments("verify", args, OPTIONS);
    assert.equal(refusalOf(refuse), `Cannot verify: ${reason}`);
  }
  const hintOf = (arg: string) => {
    try {
      readArguments("verify", [arg], OPTIONS);
    } catch (error) {
      if (error instanceof UsageError) return error.hint;
    }
  };
  assert.equal(hintOf("--date=x"), "did you mean --data? gridwatch verify --help");
  assert.equal(hintOf("--anything"), "gridwatch verify --help");
  assert.match(
    refusalOf(() => readArguments("topics", ["-x"], OPTIONS)),
    /^Cannot look after the /,
  );
});

Deno.test("readArguments() takes words where the command does, and beside --help", () => {
  const { positionals } = readArguments("run", ["a", "b"], OPTIONS, { takesWords: true });
  assert.deepEqual(positionals, ["a", "b"]);
  assert.equal(readArguments("verify", ["a", "--help"], OPTIONS).values.help, true);
});

Deno.test("refuseTogether() names the two that cannot both be followed", () => {
  const names = ["kafka", "output", "data"];
  refuseTogether("replay", { kafka: false, output: "x" }, names);
  const refuse = () => refuseTogether("replay", { kafka: false, output: "x", data: "y" }, names);
  assert.equal(refusalOf(refuse), "Cannot replay with both --output and --data");
});

Deno.test("A command refuses words it does not take and options that exclude each other", async (t) => {
  const wordless = [
    ...["demo", "verify", "topics", "process", "sink", "migrate", "dashboards", "doctor"],
    ...["up", "down", "serve", "config", "generate"],
  ];
  const lines = [
    ...wordless.map((name) => [name, "extra"]),
    ["replay", "a.csv", "--kafka", "--output", "b.jsonl"],
    ["replay", "a.csv", "--brokers", "b:1", "--output", "b.jsonl"],
    ["replay", "a.csv", "--kafka", "--data", "b"],
    ["verify", "--data", "a", "--database", "postgres://b/c"],
    ["verify", "--scope", "meter"],
    ["serve", "--data", "a", "--database", "postgres://b/c"],
    ["query", "SELECT 1", "--json", "--csv"],
  ];
  for (const line of lines) {
    await t.step(line.join(" "), async () => {
      const { code, stdout, stderr } = await gridwatch(...line);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, /^error: Cannot [a-z].*\nhint: .*\n$/);
    });
  }
});
