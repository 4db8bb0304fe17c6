import { main } from "../../cli.ts";

/* Processors as processes of their own, on topics of a bench, measured from outside. */

/** Runs a command in this process; another exit code than 0 is an error. */
export async function expectOk(args: string[]): Promise<void> {
  const exitCode = await main(args);
  if (exitCode !== 0) throw new Error(`gridwatch ${args[0]} ended with ${exitCode}`);
}

const ROOT = new URL("../../", import.meta.url).pathname;

let names = "";

/** Names the topics and the group of what follows. */
export function useNames(name: string): void {
  names = name;
  for (const [key, value] of Object.entries(environment())) Deno.env.set(key, value);
}

/** The names, as settings. */
export function environment(): Record<string, string> {
  return {
    GRIDWATCH_KAFKA_TOPIC_PREFIX: `${names}_`,
    GRIDWATCH_KAFKA_GROUP: names,
    GRIDWATCH_API_HOST: "127.0.0.1",
  };
}

/** Starts a processor; `root` is another commit's. */
export function startProcessor(
  brokers: string,
  port: number,
  { env = {}, args = [], root = ROOT }: {
    readonly env?: Readonly<Record<string, string>>;
    readonly args?: readonly string[];
    readonly root?: string;
  } = {},
) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", `${root}cli.ts`, "process", ...args],
      ...["--brokers", brokers, "--health-port", String(port)],
    ],
    cwd: root, // where its config/config.yaml is: another commit knows other settings
    env: { ...environment(), ...env },
    stdout: "null",
    stderr: "null",
  }).spawn();
  return { child, port };
}

export type Status = { readonly nextOffset: number; readonly lagRecords: number };

/** How its partitions stand; none while it does not listen yet. */
export async function readStatus(port: number): Promise<Status[]> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`);
    return (await response.json()).partitions;
  } catch (error) {
    if (error instanceof TypeError) return []; // it does not listen yet
    throw error;
  }
}

const TICKS_PER_SECOND = 100;

/** CPU seconds and peak memory of a process, from /proc. */
export async function processUsage(pid: number): Promise<{ cpuSeconds: number; peakMib: number }> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const peakKib = Number(status.match(/VmHWM:\s+(\d+)/)?.[1] ?? 0);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    peakMib: Math.round(peakKib / 1024),
  };
}

/** Sleeps. */
export function delay(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

/** Runs commands without what they write. */
export async function silenced(work: () => Promise<void>): Promise<void> {
  const { writeSync } = Deno.stdout;
  Deno.stdout.writeSync = (bytes) => bytes.length;
  try {
    await work();
  } finally {
    Deno.stdout.writeSync = writeSync;
  }
}

/** The last commit before positions knew their logs. */
const BEFORE = Deno.env.get("GRIDWATCH_BENCH_BEFORE") ?? "ce547eb";

/** Gives the root of a work tree of the commit before, which is removed afterwards. */
export async function withBefore(
  work: (before: { readonly root: string; readonly name: string }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-before-" });
  const root = `${folder}/before/`;
  try {
    await git("worktree", "add", "--detach", root, BEFORE);
    await work({ root, name: `before, ${BEFORE}` });
  } finally {
    await git("worktree", "remove", "--force", root);
    await Deno.remove(folder, { recursive: true });
  }
}

async function git(...args: string[]): Promise<void> {
  const command = new Deno.Command("git", { args: ["-C", ROOT, ...args] });
  const { success, stderr } = await command.output();
  if (!success) throw new Error(`git ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}

/** What is judged, and by which processors. */
export type Judging = {
  readonly brokers: string;
  readonly csv: string;
  /** Of the topics and the group. */
  readonly name: string;
  readonly readings: number;
  readonly partitions: number;
  readonly processes: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly root?: string;
};

export type Judged = {
  readonly readingsPerSecond: number;
  /** A million readings; the start is in it. */
  readonly cpuSeconds: number;
  /** Of the largest process. */
  readonly peakMib: number;
};

const POLL_MS = 100;
const HEALTH_PORT = 19_100;

/** Plays a file into topics of its own, and then times processors that judge it to its end. */
export async function judgeAll(judging: Judging): Promise<Judged> {
  const { brokers, csv, name, readings, partitions, processes, env = {}, args, root } = judging;
  useNames(name);
  for (const [key, value] of Object.entries(env)) Deno.env.set(key, value);
  const at = ["--brokers", brokers];
  await silenced(async () => {
    await expectOk(["topics", "--create", "--partitions", String(partitions), ...at]);
    await expectOk(["replay", csv, "--kafka", ...at, "--quiet"]);
  });
  const startedAtMs = performance.now();
  const running = Array.from(
    { length: processes },
    (_, p) => startProcessor(brokers, HEALTH_PORT + p, { env, args, root }),
  );
  for (;;) {
    const statuses = (await Promise.all(running.map(({ port }) => readStatus(port)))).flat();
    const isDone = statuses.length === partitions &&
      statuses.every(({ lagRecords, nextOffset }) => lagRecords === 0 && nextOffset > 0);
    if (isDone) break;
    await delay(POLL_MS);
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  const usages = await Promise.all(running.map(({ child }) => processUsage(child.pid)));
  for (const { child } of running) child.kill("SIGTERM");
  for (const { child } of running) await child.status;
  await silenced(() => expectOk(["verify", "--kafka", ...at, "--json"]));
  return {
    readingsPerSecond: Math.round(readings / seconds),
    cpuSeconds: usages.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) / readings * 1e6,
    peakMib: Math.max(...usages.map(({ peakMib }) => peakMib)),
  };
}
