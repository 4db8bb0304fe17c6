import { LockedError } from "./src/adapters/deno/directory_lock.ts";
import { commandAgain } from "./src/console/again.ts";
import { RunError, UsageError } from "./src/console/errors.ts";
import { quoteWord } from "./src/console/quote.ts";
import { print, say } from "./src/console/shell.ts";
import { VERSION } from "./src/console/version.ts";
import { ConfigError } from "./src/config.ts";
import { nearest } from "./src/core/nearest.ts";
import { LogError } from "./src/engine/log/ports.ts";
import { ReadError } from "./src/formats/read_error.ts";

type Command = (args: string[]) => Promise<number>;

const COMMANDS: Record<string, { about: string; load: () => Promise<Command> }> = {
  demo: {
    about: "the whole pipeline over a shipped sample, with its page",
    load: async () => (await import("./src/commands/demo.ts")).demo,
  },
  run: {
    about: "play meter files through the pipeline into the embedded store",
    load: async () => (await import("./src/commands/run.ts")).run,
  },
  audit: {
    about: "say whether meter files are any good, before any server",
    load: async () => (await import("./src/commands/audit.ts")).audit,
  },
  formats: {
    about: "list the formats of meter files that are read, or say what a file is",
    load: async () => (await import("./src/commands/formats.ts")).formats,
  },
  replay: {
    about: "play meter files with gaps, delays and duplicates put in",
    load: async () => (await import("./src/commands/replay.ts")).replay,
  },
  generate: {
    about: "make a believable fleet's readings, with known defects",
    load: async () => (await import("./src/commands/generate.ts")).generate,
  },
  estimate: {
    about: "estimate missing readings, beside the measured ones",
    load: async () => (await import("./src/commands/estimate.ts")).estimate,
  },
  export: {
    about: "write readings and estimates to a file, each with its quality code",
    load: async () => (await import("./src/commands/export.ts")).exportReadings,
  },
  retire: {
    about: "say of meters that they have left",
    load: async () => (await import("./src/commands/retire.ts")).retire,
  },
  meters: {
    about: "the registry: which meters are expected, and in which group",
    load: async () => (await import("./src/commands/meters.ts")).meters,
  },
  query: {
    about: "read the embedded store with SQL",
    load: async () => (await import("./src/commands/query.ts")).query,
  },
  kpi: {
    about: "key figures: completeness, timeliness, latency, error budget",
    load: async () => (await import("./src/commands/kpi.ts")).kpi,
  },
  verify: {
    about: "prove that nothing was lost and nothing counted twice",
    load: async () => (await import("./src/commands/verify/verify.ts")).verify,
  },
  backup: {
    about: "copy the embedded store, also while it is written",
    load: async () => (await import("./src/commands/backup.ts")).backup,
  },
  compact: {
    about: "give the disk what the embedded store has free",
    load: async () => (await import("./src/commands/compact.ts")).compact,
  },
  topics: {
    about: "show or make the topics on Kafka",
    load: async () => (await import("./src/commands/topics.ts")).topics,
  },
  repartition: {
    about: "copy raw records on Kafka into topics of other partitions",
    load: async () => (await import("./src/commands/repartition.ts")).repartitionRaw,
  },
  process: {
    about: "the long-running processor on Kafka",
    load: async () => (await import("./src/commands/process.ts")).processRaw,
  },
  sink: {
    about: "write the output topics into PostgreSQL or TimescaleDB",
    load: async () => (await import("./src/commands/sink.ts")).sink,
  },
  migrate: {
    about: "bring a database to the newest schema",
    load: async () => (await import("./src/commands/migrate.ts")).migrate,
  },
  dashboards: {
    about: "write the Grafana dashboards, on the data's range",
    load: async () => (await import("./src/commands/dashboards.ts")).dashboards,
  },
  doctor: {
    about: "check everything, and say how to mend it",
    load: async () => (await import("./src/commands/doctor/doctor.ts")).doctor,
  },
  up: {
    about: "start the local stack in Docker",
    load: async () => (await import("./src/commands/stack.ts")).up,
  },
  down: {
    about: "stop it",
    load: async () => (await import("./src/commands/stack.ts")).down,
  },
  logs: {
    about: "show its logs",
    load: async () => (await import("./src/commands/stack.ts")).logs,
  },
  serve: {
    about: "serve the status page of a store",
    load: async () => (await import("./src/commands/serve.ts")).serve,
  },
  config: {
    about: "list every setting",
    load: async () => (await import("./src/commands/config.ts")).settings,
  },
};

const usage = `Gridwatch ${VERSION}: real-time smart-meter data quality monitoring

Usage: gridwatch COMMAND [options]

${Object.entries(COMMANDS).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`).join("\n")}

  --help     of a command: its options; also \`gridwatch help COMMAND\`
  --version

Start here: gridwatch demo
`;

/** Runs a command line; gives the exit code. */
export async function main(args: string[]): Promise<number> {
  // `help run` is `run --help`.
  const [name, ...rest] = args[0] === "help" && args.length > 1 ? [args[1], "--help"] : args;
  if (name === "--version" || name === "-V") {
    print(`gridwatch ${VERSION}`);
    return 0;
  }
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    print(usage);
    return name === undefined ? 2 : 0;
  }
  try {
    if (!Object.hasOwn(COMMANDS, name)) {
      throw new UsageError(`Unknown command "${name}"`, hintFor(name, rest));
    }
    return await (await COMMANDS[name].load())(rest);
  } catch (error) {
    return fail(error, [name, ...rest]);
  }
}

/** A word that is no command: a slip of the fingers, or a file to be played. */
function hintFor(name: string, rest: readonly string[]): string {
  const meant = nearest(name, Object.keys(COMMANDS));
  if (meant !== null) return `did you mean ${meant}? gridwatch --help lists them`;
  const isFile = /[./\\]/.test(name) && !name.startsWith("-");
  return isFile
    ? `to play files: gridwatch run ${[name, ...rest].map(quoteWord).join(" ")}`
    : "gridwatch --help lists them";
}

/** Says an error to a person. Only a broken invariant of our own shows its stack. */
function fail(error: unknown, words: readonly string[] = []): number {
  const isUsage = error instanceof UsageError || error instanceof ConfigError;
  const isKnown = isUsage || error instanceof RunError || error instanceof ReadError ||
    error instanceof LockedError || error instanceof LogError;
  if (isKnown) {
    say(`error: ${error.message}`);
    const hints = "hint" in error && error.hint !== undefined ? [error.hint] : [];
    if ("more" in error) hints.push(...error.more);
    if (error instanceof ReadError && error.again !== null) {
      const { add, file, instead } = error.again;
      const given = words.map((word) => word === file ? instead : word);
      const command = commandAgain([...given, ...add], file === instead ? add : [instead, ...add]);
      // What is made of the file comes before it is played.
      if (file === instead) hints.unshift(command);
      else hints.splice(1, 0, `then: ${command}`);
    }
    hints.forEach((line, n) => say(n === 0 ? `hint: ${line}` : line));
    return isUsage ? 2 : 1;
  }
  say("error: a fault of Gridwatch itself; nothing that was committed is lost");
  Deno.inspect(error).split("\n").forEach((line) => say(line));
  return 1;
}

/** Says what nobody caught, and ends the process: the runtime would print an error as it is. */
export function sayUncaught(): void {
  const end = (event: Event, error: unknown): never => {
    event.preventDefault();
    Deno.exit(fail(error));
  };
  globalThis.addEventListener("error", (event) => end(event, event.error));
  globalThis.addEventListener("unhandledrejection", (event) => end(event, event.reason));
}

/**
 * Goes back to where the user stands. `deno task` goes to the folder of deno.json and leaves word,
 * in INIT_CWD, of where it was started; files and folders are named from there. A binary stands
 * there already, and so does cli.ts when it was run from elsewhere.
 */
export function standWithUser(): void {
  const isAllowed = () =>
    Deno.permissions.querySync({ name: "env", variable: "INIT_CWD" }).state === "granted";
  if (Deno.build.standalone || Deno.cwd() !== import.meta.dirname || !isAllowed()) return;
  const start = Deno.env.get("INIT_CWD");
  if (start) Deno.chdir(start);
}

if (import.meta.main) {
  sayUncaught();
  standWithUser();
  Deno.exit(await main(Deno.args));
}
