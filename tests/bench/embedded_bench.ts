import { generate } from "../../src/commands/generate.ts";
import { freePort } from "../integration/ports.ts";

/*
 * Whole processes, measured from outside by GNU time: the London year beside the commit before SQLite,
 * and a fleet of 5,000 meters with the questions of the page.
 */

const ROOT = new URL("../../", import.meta.url).pathname;
const LONDON = new URL("../../../shared/data/london/london_2013_81meters.tar.xz", import.meta.url);
const LONDON_READINGS = 1_371_693;
/** The last commit whose store was PGlite. */
const BEFORE = Deno.env.get("GRIDWATCH_BENCH_BEFORE") ?? "ad7936f";
const MILLIONS = Number(Deno.env.get("GRIDWATCH_BENCH_MILLIONS") ?? 25);
const METERS = 5000;
const READINGS_PER_DAY = 48;
const NOW = ["--now", "2030-01-01T00:00:00Z"];

/** What the page asks while it is open; a meter is looked at besides. */
const QUESTIONS = [
  ...["/api/status", "/api/ledger", "/api/timeline", "/api/delays"],
  ...[
    "/api/meters?spans=true&limit=100&sort=worst",
    "/api/meters?spans=true&limit=100&sort=id&q=MTR",
  ],
  ...["/api/gaps?limit=100", "/api/gaps?state=OPEN&sort=longest&limit=100"],
  ...["/api/late?limit=100", "/api/rejected?limit=100"],
];

/** The London year old beside new, then 5,000 meters; GRIDWATCH_BENCH_MILLIONS readings of them. */
export async function benchEmbedded(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-bench-" });
  try {
    await benchLondon(folder);
    await benchFleet(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function benchLondon(folder: string): Promise<void> {
  if (!await isThere(LONDON.pathname)) {
    console.log(`embedded: the London year is left out: no ${LONDON.pathname}`);
    return;
  }
  await output("tar", ["xJf", LONDON.pathname, "-C", folder]);
  const files = [...Deno.readDirSync(`${folder}/london_2013`)]
    .map(({ name }) => `${folder}/london_2013/${name}`).sort();
  const before = `${folder}/before`;
  await output("git", ["-C", ROOT, "worktree", "add", "--detach", before, BEFORE]);
  try {
    for (const [name, root] of [[`before, ${BEFORE}`, `${before}/`], ["now", ROOT]]) {
      await measureRun(`the London year, ${name}`, { root, folder, files }, LONDON_READINGS);
      await Deno.remove(`${folder}/store`, { recursive: true });
    }
  } finally {
    await output("git", ["-C", ROOT, "worktree", "remove", "--force", before]);
  }
}

async function benchFleet(folder: string): Promise<void> {
  const days = Math.ceil(MILLIONS * 1e6 / METERS / READINGS_PER_DAY);
  // A fifth of the days first: memory that grows with the readings shows beside it.
  for (const [name, count] of [["a fifth", Math.ceil(days / 5)], ["all", days]] as const) {
    const csv = `${folder}/${count}-days.csv`;
    const size = ["--meters", String(METERS), "--days", String(count)];
    await generate([...size, "--output", csv, "--quiet"]);
    await Deno.remove(`${folder}/store`, { recursive: true }).catch(() => {});
    const input = { root: ROOT, folder, files: [csv] };
    await measureRun(`${METERS} meters, ${name}`, input, METERS * READINGS_PER_DAY * count);
  }
  await measureQuestions(`${folder}/store`);
}

async function measureRun(
  name: string,
  { root, folder, files }: {
    readonly root: string;
    readonly folder: string;
    readonly files: readonly string[];
  },
  readings: number,
): Promise<void> {
  const store = `${folder}/store`;
  const args = ["run", ...files, "--data", store, "--exit", "--quiet", ...NOW];
  // As its task starts it: how much garbage the heap may hold is said there.
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const flags = /--v8-flags=\S+/.exec(tasks.gridwatch.command) ?? [];
  const cli = [Deno.execPath(), "run", ...flags, "-A", "--no-check", `${root}cli.ts`, ...args];
  // Where no config/config.yaml is: an earlier commit does not know every setting.
  const said = await output("/usr/bin/time", ["-f", "%e %U %S %M", ...cli], { cwd: folder });
  const [wall, user, system, peakKib] = said.trim().split("\n").at(-1)!.split(" ").map(Number);
  const cpu = user + system;
  const disk = await bytesOf(store);
  console.log(
    `embedded: ${name}: ${readings.toLocaleString("en-US")} readings, ${wall.toFixed(1)} s, ` +
      `${cpu.toFixed(1)} CPU s (${(cpu / readings * 1e6).toFixed(2)} a million), ` +
      `${Math.round(peakKib * 1024 / 1e6)} MB at the peak, ${Math.round(disk / 1e6)} MB on disk`,
  );
}

/** Each question as a page that is opened asks it: the first time, of a server that has just begun. */
async function measureQuestions(store: string): Promise<void> {
  const port = freePort();
  const args = ["run", "-A", "--no-check", `${ROOT}cli.ts`, "serve"];
  const server = new Deno.Command(Deno.execPath(), {
    args: [...args, "--data", store, "--port", String(port)],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const reader = server.stderr.getReader();
  await reader.read(); // it says where the page is
  try {
    const url = `http://localhost:${port}`;
    const ask = async (path: string) => {
      const startedAtMs = performance.now();
      const answer = await (await fetch(url + path)).json();
      const ms = Math.round(performance.now() - startedAtMs);
      console.log(`embedded: ${path.padEnd(50)} ${String(ms).padStart(5)} ms, goal 500 ms`);
      return answer;
    };
    for (const path of QUESTIONS) await ask(path);
    const [{ meter_id }] = (await (await fetch(`${url}/api/meters`)).json()).meters;
    await ask(`/api/meters/${encodeURIComponent(meter_id)}`);
  } finally {
    server.kill("SIGINT");
    while (!(await reader.read()).done);
    await server.status;
  }
}

/** What a program wrote to stderr. */
async function output(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<string> {
  const command = new Deno.Command(program, { args: [...args], ...options });
  const { code, stderr } = await command.output();
  const said = new TextDecoder().decode(stderr);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${said}`);
  return said;
}

/** What the files of a folder take, and those of its folders. */
async function bytesOf(folder: string): Promise<number> {
  let bytes = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    bytes += isDirectory ? await bytesOf(path) : (await Deno.stat(path)).size;
  }
  return bytes;
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
