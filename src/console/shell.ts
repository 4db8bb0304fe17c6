import { resolve } from "node:path";
import { readConfig, unknownVariables } from "../config.ts";
import type { Config } from "../settings.ts";
import type { Clock } from "../engine/ports.ts";
import { RunError } from "./errors.ts";
import { loadOwnRules } from "./own_rules.ts";
import { attempt } from "./output_file.ts";
import { createProgress, type Progress, type ProgressOptions } from "./progress.ts";
import { redacted } from "./redact.ts";
import { visible } from "./visible.ts";

const DEFAULT_CONFIG_PATH = "config/config.yaml";
/** The checkout's own; inside a binary there is none. */
const CHECKOUT_CONFIG_PATH = resolve(import.meta.dirname ?? ".", "../..", DEFAULT_CONFIG_PATH);

/**
 * Reads the settings from `--config`, or else from `config/config.yaml` where there is one: of the
 * folder where the user stands, or else of the checkout; and
 * from the environment. Names there that are no setting's are warned of.
 *
 * @throws {ConfigError} for a setting that cannot be used
 * @throws {RunError} when the file named cannot be read
 */
export async function loadConfig(path: string | undefined): Promise<Config> {
  const yaml = path === undefined
    ? await readYaml(DEFAULT_CONFIG_PATH) ?? await readYaml(CHECKOUT_CONFIG_PATH)
    : await readYaml(path, true);
  for (const { name, meant } of unknownVariables()) {
    const way = meant === null ? "`gridwatch config` lists them" : `did you mean ${meant}?`;
    say(`warning: ${name} is no setting: ${way}`);
  }
  const config = readConfig(yaml, (name) => Deno.env.get(name));
  return { ...config, ownRules: await loadOwnRules(config.ruleFiles) };
}

type Yaml = { readonly path: string; readonly text: string };

async function readYaml(path: string, isWanted = false): Promise<Yaml | null> {
  const reading = attempt(`read ${path}`, () => Deno.readTextFile(path));
  return await reading.then((text) => ({ path, text })).catch((error) => {
    if (!(error.cause instanceof Deno.errors.NotFound)) throw error;
    if (!isWanted) return null;
    throw new RunError(`Cannot read ${path}: no such file`, undefined, { cause: error.cause });
  });
}

/**
 * Writes one line to stderr, where everything goes that is not the answer. Whatever data put into
 * the text is shown and does nothing, a line's end too: two lines are said one by one.
 */
export function say(text: string): void {
  writeFully(Deno.stderr, `${visible(redacted(text))}\n`);
}

/** Writes the answer to stdout: as it is, but on a terminal nothing in its lines does anything. */
export function print(text: string): void {
  const shown = Deno.stdout.isTerminal() ? text.replace(/[^\n]+/g, visible) : text;
  writeFully(Deno.stdout, shown.endsWith("\n") ? shown : `${shown}\n`);
}

/** Writes a part of a line to stderr, like `say`, but CR and LF are the caller's own. */
export function draw(text: string): void {
  writeFully(Deno.stderr, redacted(text).replace(/[^\r\n]+/g, visible));
}

const encoder = new TextEncoder();

function writeFully(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // `| head` has seen enough
  }
}

/** How many columns of a terminal stdout has; undefined: it is none. */
export function stdoutColumns(): number | undefined {
  if (!Deno.stdout.isTerminal()) return undefined;
  return Deno.consoleSize().columns || COLUMNS; // one that does not know its width says 0
}

const COLUMNS = 80;

/** A progress line on this process's stderr. */
export function shellProgress(
  options: Pick<ProgressOptions, "verb" | "rowsTotal" | "isSilent">,
): Progress {
  return createProgress({
    ...options,
    nowMs: () => performance.now(),
    write: draw,
    isTerminal: Deno.stderr.isTerminal(),
    columns: () => Deno.stderr.isTerminal() ? Deno.consoleSize().columns : COLUMNS,
  });
}

/** The process's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (durationMs, signal) =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, durationMs);
      if (signal?.aborted) done();
      else signal?.addEventListener("abort", done);
    }),
};

const CLOSE_MS_MAX = 1_000;

/** Waits for what is being closed, but not for what hangs: the process ends with its command. */
export async function closeInTime(closing: readonly Promise<void>[]): Promise<void> {
  const patience = new AbortController();
  const waited = systemClock.sleep(CLOSE_MS_MAX, patience.signal);
  await Promise.race([Promise.allSettled(closing), waited]);
  patience.abort();
}

/** Exit code of a process that was asked to stop before its work was done. */
export const STOPPED_EXIT_CODE = 130;

/**
 * Ctrl-C and SIGTERM as a signal to stop cleanly. A second Ctrl-C ends the process at once; that is
 * as safe as a kill, which nothing is lost by.
 */
export function stopSignal(onFirst: () => void): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(STOPPED_EXIT_CODE);
    controller.abort();
    onFirst();
  };
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of names) Deno.addSignalListener(name, stop);
  return {
    signal: controller.signal,
    release: () => names.forEach((name) => Deno.removeSignalListener(name, stop)),
  };
}
