/** The runtimes that the toolkit is proven on, as tests start them. */
import type { ChromiumPage, ChromiumRequest } from "./chromium_host.ts";
import { type JudgeAnswer, judgeLines, type JudgeRequest } from "./judge_lines.ts";
import { MINIFLARE, PLAYWRIGHT } from "./packages.ts";
import type { WorkerdAnswer, WorkerdRequest } from "./workerd_host.ts";

/** Runtimes that must be on the machine, or come from npm. */
export const RUNTIMES = ["node", "workerd", "chromium"] as const;

export type Runtime = (typeof RUNTIMES)[number];

/** The oldest that is still kept up. */
const NODE_MAJOR_MIN = 20;
const LOCK = new URL("./packages.lock", import.meta.url).pathname;
const ROOT = new URL("../../", import.meta.url).pathname;
/** Those of Deno for a process that runs a server or a browser. */
const PERMISSIONS = [
  ...["--no-prompt", "--allow-read", "--allow-write", "--allow-net", "--allow-env"],
  ...["--allow-sys", "--allow-run"],
];
const CHROMIUM_PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];
const decoder = new TextDecoder();

/** Null, or in one line why a runtime cannot be started here and what brings it. */
export async function lackOfRuntime(runtime: Runtime): Promise<string | null> {
  switch (runtime) {
    case "node": {
      const version = await said("node", ["--version"]);
      const major = Number(/^v(\d+)/.exec(version ?? "")?.[1]);
      return major >= NODE_MAJOR_MIN ? null : `no Node of ${NODE_MAJOR_MIN} or later`;
    }
    case "workerd":
      return await lackOfPackage(MINIFLARE);
    case "chromium":
      if (await chromiumProgram() === null) return "no Chromium: apt-get install -y chromium";
      return await lackOfPackage(PLAYWRIGHT);
    default:
      return runtime satisfies never;
  }
}

/** Defines a test. Where a runtime is missing it is skipped, and its name says what is. */
export async function runtimeTest(
  runtimes: readonly Runtime[],
  name: string,
  fn: () => Promise<void>,
): Promise<void> {
  const lacks = await Promise.all(runtimes.map(lackOnce));
  const lack = lacks.find((each) => each !== null) ?? null;
  Deno.test({
    name: lack === null ? name : `${name} [skipped: ${lack}]`,
    ignore: lack !== null,
    fn,
  });
}

const lacks = new Map<Runtime, Promise<string | null>>();

function lackOnce(runtime: Runtime): Promise<string | null> {
  const known = lacks.get(runtime) ?? lackOfRuntime(runtime);
  lacks.set(runtime, known);
  return known;
}

async function lackOfPackage(name: string): Promise<string | null> {
  const args = ["eval", ...HOST_OPTIONS, `await import("${name}")`];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  return success ? null : `no ${name}: ${decoder.decode(stderr).trim().split("\n").at(-1)}`;
}

const HOST_OPTIONS = ["--no-config", `--lock=${LOCK}`, "--frozen", "--node-modules-dir=none"];

/** Where Chromium is; null: it is not here. */
export async function chromiumProgram(): Promise<string | null> {
  for (const program of CHROMIUM_PROGRAMS) {
    const path = await said("sh", ["-c", `command -v ${program}`]);
    if (path !== null) return path;
  }
  return null;
}

/** What a program says when it is run; null: it is not there, or fails. */
async function said(program: string, args: string[]): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command(program, { args }).output();
    return success ? decoder.decode(stdout).trim() : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/**
 * A module of the project and all that it imports as one text, as any edge platform takes it.
 * Minified: so it is when it is sent.
 */
export async function bundle(path: string): Promise<string> {
  const args = ["bundle", "--quiet", "--minify", "--platform=browser", path];
  const command = new Deno.Command(Deno.execPath(), { args, cwd: ROOT });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(`${path} is not bundled: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** A process that answers each line of JSON by a line. */
export class Peer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(program: string, args: readonly string[], cwd?: string) {
    const command = new Deno.Command(program, {
      args: [...args],
      cwd,
      stdin: "piped",
      stdout: "piped",
    });
    this.#child = command.spawn();
    this.#writer = this.#child.stdin.getWriter();
    const texts = this.#child.stdout.pipeThrough(new TextDecoderStream());
    this.#reader = texts.getReader();
  }

  /** Asks, and waits for the answer. */
  async ask<Answer>(request: unknown): Promise<Answer> {
    await this.send(request);
    return await this.next<Answer>();
  }

  async send(request: unknown): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
  }

  /** The next line that it says. */
  async next<Line>(): Promise<Line> {
    let end: number;
    while ((end = this.#rest.indexOf("\n")) < 0) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`it has ended: ${JSON.stringify(await this.#child.status)}`);
      this.#rest += value;
    }
    const line = JSON.parse(this.#rest.slice(0, end));
    this.#rest = this.#rest.slice(end + 1);
    if (line?.error !== undefined) throw new Error(line.error);
    return line;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    while (!(await this.#reader.read()).done);
    await this.#child.status;
  }
}

/** Starts a host, and tells it what to open. */
async function hostPeer(file: string, opened: unknown): Promise<Peer> {
  const module = new URL(file, import.meta.url).pathname;
  const peer = new Peer(Deno.execPath(), ["run", ...HOST_OPTIONS, ...PERMISSIONS, module]);
  try {
    await peer.ask(opened);
    return peer;
  } catch (error) {
    await peer[Symbol.asyncDispose]();
    throw error;
  }
}

/** A script under Node, from a file of the folder. */
export async function openNode(script: string, folder: string): Promise<Peer> {
  const path = `${folder}/${crypto.randomUUID()}.mjs`;
  await Deno.writeTextFile(path, script);
  return new Peer("node", [path]);
}

/** The behaviour of workerd that is asked for: that of this day. */
const COMPATIBILITY_DATE = "2026-07-01";

/** A worker in workerd. */
export type Workerd = AsyncDisposable & {
  ask(request: WorkerdRequest): Promise<WorkerdAnswer>;
};

/** Starts a worker with what miniflare is to give it. */
export async function openWorkerd(
  script: string,
  bindings: Readonly<Record<string, unknown>> = {},
): Promise<Workerd> {
  const options = { modules: true, script, compatibilityDate: COMPATIBILITY_DATE, ...bindings };
  const peer = await hostPeer("./workerd_host.ts", options);
  return {
    ask: (request) => peer.ask(request),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

/** A page of Chromium. */
export type Chromium = AsyncDisposable & {
  ask<Answer>(request: ChromiumRequest): Promise<Answer>;
};

/** Opens a page with a module of its own. */
export async function openChromium(html: string, js: string): Promise<Chromium> {
  const program = await chromiumProgram() ?? "chromium";
  const opened: ChromiumPage = { program, html, js };
  const peer = await hostPeer("./chromium_host.ts", opened);
  return {
    ask: (request) => peer.ask(request),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

/** Something that judges lines, in one of the runtimes. */
export type JudgingRuntime = AsyncDisposable & {
  judge(request: JudgeRequest): Promise<JudgeAnswer>;
};

/** Opens the toolkit in a runtime; "deno" is this process. */
export async function openJudge(
  runtime: Runtime | "deno",
  folder: string,
): Promise<JudgingRuntime> {
  switch (runtime) {
    case "deno":
      return {
        judge: (request) => Promise.resolve(judgeLines(request)),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
    case "node": {
      const peer = await openNode(await bundle("tests/runtimes/node_judge.ts"), folder);
      return {
        judge: (request) => peer.ask(request),
        [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
      };
    }
    case "workerd": {
      const worker = await openWorkerd(await bundle("tests/runtimes/worker_judge.ts"));
      return {
        judge: async (request) => {
          const body = JSON.stringify(request);
          const { status, text } = await worker.ask({ path: "/", method: "POST", body });
          if (status !== 200) throw new Error(`workerd: ${status} ${text}`);
          return JSON.parse(text);
        },
        [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose](),
      };
    }
    case "chromium": {
      const page = await openChromium(
        "<!doctype html>",
        await bundle("tests/runtimes/page_judge.ts"),
      );
      return {
        judge: (argument) => page.ask({ call: "judgeLines", argument }),
        [Symbol.asyncDispose]: () => page[Symbol.asyncDispose](),
      };
    }
    default:
      return runtime satisfies never;
  }
}
