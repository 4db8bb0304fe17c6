/** `deno task compile`: standalone binaries that need no Deno and no network. */
import { parseArgs } from "node:util";
import { print, say } from "../src/console/shell.ts";

/** Platforms that Deno has a base for. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
] as const;

type Target = (typeof TARGETS)[number];

/** What Deno cannot see from the imports: workers, and files read at run time. */
export const INCLUDED = [
  "src/adapters/sqlite/writer_thread.ts",
  "src/adapters/sqlite/reader_thread.ts",
  "src/setup/process_thread.ts",
  "data/sample/london_MAC000002.csv",
] as const;

/** Where `src/console/version.ts` looks for the build inside a binary. */
const BUILD_FILE = "dist/build.json";

/**
 * The most that each binary may do. No subprocess, no foreign library, no word from the environment
 * but Gridwatch's own and PostgreSQL's; files and addresses are named by who runs it, at run time.
 */
const PERMISSIONS = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-net",
  "--allow-sys=statfs", // what is free on a disk
  "--allow-env=GRIDWATCH_*,PG*",
  "--ignore-env",
] as const;

/**
 * The heap is kept small, as the tasks of deno.json keep it: a third less memory, for some percent of
 * CPU. Unbidden, V8 lets garbage grow to four times what is in use.
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=4,--heap-growing-percent=100";

const BINARIES = { gridwatch: "cli.ts", "gridwatch-server": "server.ts" } as const;

const USAGE = `Usage: deno task compile [--target TARGET]… [--output DIR]

Builds gridwatch and gridwatch-server as standalone binaries, with a SHA256SUMS beside them.

  --target T    ${TARGETS.join("\n                ")}
                (default: all of them; with DENORT_BIN, which is one platform's, this machine's)
  --output DIR  (default: dist)

Deno downloads its base for a platform the first time; DENORT_BIN=FILE names one that is there.
`;

const ROOT = new URL("../", import.meta.url);

/** Builds what the arguments ask for; gives the exit code. */
export async function compile(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      target: { type: "string", multiple: true },
      output: { type: "string", default: "dist" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    print(USAGE);
    return 0;
  }
  const isBaseGiven = Boolean(Deno.env.get("DENORT_BIN"));
  const targets = values.target ?? (isBaseGiven ? [Deno.build.target] : [...TARGETS]);
  const unknown = targets.find((target) => !TARGETS.includes(target as Target));
  if (unknown !== undefined) {
    say(`error: Cannot compile with --target="${unknown}": must be one of these`);
    say(`hint: ${TARGETS.join(", ")}`);
    return 2;
  }
  const build = await describeBuild();
  await Deno.mkdir(new URL("dist", ROOT), { recursive: true });
  await Deno.mkdir(values.output, { recursive: true });
  const sums: string[] = [];
  for (const target of targets) {
    await Deno.writeTextFile(new URL(BUILD_FILE, ROOT), JSON.stringify({ build, target }) + "\n");
    for (const [name, entry] of Object.entries(BINARIES)) {
      const file = `${name}-${target}${target.includes("windows") ? ".exe" : ""}`;
      const path = `${await Deno.realPath(values.output)}/${file}`;
      if (!await runCompile(entry, path, target)) return 1;
      sums.push(`${await sha256(path)}  ${file}\n`);
    }
  }
  await Deno.writeTextFile(`${values.output}/SHA256SUMS`, sums.join(""));
  say(`${sums.length} binaries of ${build} in ${values.output}:`);
  sums.forEach((line) => say(line.trimEnd()));
  return 0;
}

/** The commit, as `git describe` names it; "unknown" outside a checkout. */
async function describeBuild(): Promise<string> {
  const args = ["describe", "--tags", "--always", "--dirty"];
  try {
    const git = new Deno.Command("git", { args, cwd: ROOT, stdout: "piped", stderr: "null" });
    const { success, stdout } = await git.output();
    const text = new TextDecoder().decode(stdout).trim();
    return success && text !== "" ? text : "unknown";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "unknown";
    throw error;
  }
}

async function runCompile(entry: string, output: string, target: string): Promise<boolean> {
  const included = [...INCLUDED, BUILD_FILE].flatMap((path) => ["--include", path]);
  const args = [
    "compile",
    "--quiet",
    "--no-check", // `deno task ok` has checked the types
    V8_FLAGS,
    ...PERMISSIONS,
    ...included,
    "--target",
    target,
    "--output",
    output,
    entry,
  ];
  const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output()
    .then((result) => {
      if (!result.success) {
        new TextDecoder().decode(result.stderr).trimEnd().split("\n").forEach((line) => say(line));
      }
      return result;
    });
  return success;
}

async function sha256(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

if (import.meta.main) Deno.exit(await compile(Deno.args));
