import { resolve } from "node:path";
import { readArguments, verbOf } from "../console/arguments.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { print, say } from "../console/shell.ts";

/** How the stack is run: a program and the words that come first. */
export type Compose = readonly [program: string, ...words: string[]];

/** How a program ended, and what it wrote where that was asked for. */
export type Ran = { readonly code: number; readonly output: string };

/** The world outside, for tests to replace. */
export type StackPorts = {
  /** Runs a program; null: there is none of this name. `isShown`: it writes to the terminal. */
  readonly run: (command: readonly string[], isShown: boolean) => Promise<Ran | null>;
  /** The folder of `docker-compose.yml`. */
  readonly folder: string;
  readonly print: (text: string) => void;
  readonly say: (text: string) => void;
};

const PROJECT = "gridwatch";
const DEMO = "`deno task demo` shows the whole pipeline without Docker";
const LOG_LINES = "200";

export const upUsage = `Usage: gridwatch up [--replay] [--quiet]

Starts the local stack of docker-compose.yml: Kafka, processor, sink, TimescaleDB, Grafana, a Kafka
UI and the status API, in the order they need each other. Run from a checkout; ports and passwords
are set in the environment or in .env (GRAFANA_PORT=3001, …).

  --replay   and plays the shipped sample into it (REPLAY_FILE names another, below this folder)
  --quiet    no addresses
`;

export const downUsage = `Usage: gridwatch down [--volumes]

Stops the local stack and removes its containers; the data stays.

  --volumes  removes the data, too: topics, tables, Grafana's own database
`;

export const logsUsage = `Usage: gridwatch logs [--follow] [SERVICE…]

Shows the logs of the local stack: kafka, timescaledb, topics, migrate, processor, sink, api,
dashboards, grafana, kafka-ui, replay.

  --follow   goes on as they come
`;

const HELP = { help: { type: "boolean", short: "h", default: false } } as const;

/** Runs `gridwatch up`. */
export async function up(args: string[], ports: StackPorts = processPorts()): Promise<number> {
  const { values } = readArguments("up", args, {
    ...HELP,
    replay: { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
  });
  if (values.help) {
    ports.print(upUsage);
    return 0;
  }
  const profile = values.replay ? ["--profile", "replay"] : [];
  const found = await findCompose(ports);
  await refuseOpenDefaults(ports, found);
  await compose(ports, found, [...profile, "up", "--detach", "--remove-orphans"]);
  if (!values.quiet) await sayAddresses(ports, found);
  return 0;
}

/** Runs `gridwatch down`. */
export async function down(args: string[], ports: StackPorts = processPorts()): Promise<number> {
  const { values } = readArguments("down", args, {
    ...HELP,
    volumes: { type: "boolean", default: false },
  });
  if (values.help) {
    ports.print(downUsage);
    return 0;
  }
  const volumes = values.volumes ? ["--volumes"] : [];
  const words = ["--profile", "replay", "down", "--remove-orphans", ...volumes];
  await compose(ports, await findCompose(ports), words);
  return 0;
}

/** Runs `gridwatch logs`. */
export async function logs(args: string[], ports: StackPorts = processPorts()): Promise<number> {
  const { values, positionals } = readArguments("logs", args, {
    ...HELP,
    follow: { type: "boolean", short: "f", default: false },
  }, { takesWords: true });
  if (values.help) {
    ports.print(logsUsage);
    return 0;
  }
  const unknown = positionals.find((name) => !/^[a-z][a-z-]*$/.test(name));
  if (unknown !== undefined) {
    throw new UsageError(
      `Cannot show the logs of "${unknown}": must be a service`,
      "gridwatch logs --help",
    );
  }
  const follow = values.follow ? ["--follow"] : [];
  const words = ["logs", "--tail", LOG_LINES, ...follow, ...positionals];
  await compose(ports, await findCompose(ports), words);
  return 0;
}

/** Compose on our file. */
function onStack({ folder }: StackPorts, found: Compose): string[] {
  return [...found, "-p", PROJECT, "-f", `${folder}/docker-compose.yml`];
}

/**
 * Runs compose on our file, shown.
 *
 * @throws {RunError} when it fails
 */
async function compose(
  ports: StackPorts,
  found: Compose,
  words: readonly string[],
): Promise<void> {
  const ran = await ports.run([...onStack(ports, found), ...words], true);
  if (ran?.code === 0) return;
  const command = words.find((word) => /^(up|down|logs)$/.test(word));
  throw new RunError(
    `Cannot ${verbOf(command ?? "up")}: compose ended with ${ran?.code}`,
    "its own words stand above; `gridwatch logs` shows those of the services",
  );
}

/** Passwords that everybody knows, by where they stand and by the name that sets them. */
const DEFAULT_PASSWORDS = [
  { service: "timescaledb", name: "POSTGRES_PASSWORD", sets: "POSTGRES_PASSWORD", is: "gridwatch" },
  {
    service: "timescaledb",
    name: "GRAFANA_DB_PASSWORD",
    sets: "GRAFANA_DB_PASSWORD",
    is: "grafana",
  },
  { service: "grafana", name: "GF_SECURITY_ADMIN_PASSWORD", sets: "GRAFANA_PASSWORD", is: "admin" },
] as const;

/** What `compose config` says of a service, as far as it is asked. */
type Service = {
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly ports?: readonly { readonly host_ip?: string }[];
};

/**
 * Asks compose what the environment and .env come to.
 *
 * @throws {UsageError} when ports are open to other machines, under passwords that all know
 */
async function refuseOpenDefaults(ports: StackPorts, found: Compose): Promise<void> {
  const ran = await ports.run([...onStack(ports, found), "config", "--format", "json"], false);
  if (ran?.code !== 0 || !ran.output.startsWith("{")) return; // compose itself says what is wrong
  const { services } = JSON.parse(ran.output) as { services: Readonly<Record<string, Service>> };
  const addresses = Object.values(services)
    .flatMap(({ ports = [] }) => ports.map(({ host_ip: host = "0.0.0.0" }) => host));
  const open = addresses.find((host) => !/^(?:127\.|\[?::1\]?$)/.test(host));
  if (open === undefined) return;
  const known = DEFAULT_PASSWORDS
    .filter(({ service, name, is }) => services[service]?.environment?.[name] === is)
    .map(({ sets }) => sets);
  if (known.length === 0) return;
  throw new UsageError(
    `Cannot start the stack on BIND=${open}: other machines reach it, and its passwords are the ` +
      "ones that everybody knows",
    `set ${known.join(", ")} in .env, or leave BIND out`,
  );
}

/**
 * `docker compose`, or else `docker-compose`.
 *
 * @throws {RunError} when there is neither, or no engine behind them
 */
async function findCompose({ run }: StackPorts): Promise<Compose> {
  const docker = await run(["docker", "version", "--format", "{{.Server.Version}}"], false);
  if (docker === null) throw new RunError("Cannot run the stack: Docker is not installed", DEMO);
  if (docker.code !== 0) {
    throw new RunError(
      `Cannot run the stack: Docker does not answer: ${lastLine(docker.output)}`,
      `start it (systemctl start docker, or Docker Desktop); ${DEMO}`,
    );
  }
  for (const candidate of [["docker", "compose"], ["docker-compose"]] as const) {
    const ran = await run([...candidate, "version"], false);
    if (ran?.code === 0) return candidate;
  }
  throw new RunError(
    "Cannot run the stack: Docker has no compose",
    `install the package docker-compose-plugin; ${DEMO}`,
  );
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

const PAGES = [
  ["Grafana", "grafana", "3000", "  (admin / admin unless set)"],
  ["Kafka UI", "kafka-ui", "8080", ""],
  ["status", "api", "8000", ""],
] as const;

/** Asks compose where the pages came to stand: the ports may be set in .env. */
async function sayAddresses(ports: StackPorts, found: Compose): Promise<void> {
  for (const [name, service, port, note] of PAGES) {
    const ran = await ports.run([...onStack(ports, found), "port", service, port], false);
    const published = /:(\d+)\s*$/.exec(ran?.output ?? "")?.[1] ?? port;
    ports.say(`${name.padEnd(9)} http://localhost:${published}${note}`);
  }
}

function processPorts(): StackPorts {
  if (Deno.build.standalone) {
    throw new RunError(
      "Cannot run the stack from a binary: it mounts the sources",
      "run `deno task up` in a checkout; `gridwatch demo` needs neither",
    );
  }
  const folder = resolve(import.meta.dirname ?? ".", "../..");
  return {
    run: (command, isShown) => runProgram(command, { isShown, cwd: folder }),
    folder,
    print,
    say,
  };
}

/** In the checkout, where the `.env` is. */
async function runProgram(
  command: readonly string[],
  { isShown, cwd }: { isShown: boolean; cwd: string },
): Promise<Ran | null> {
  const [program, ...args] = command;
  const pipe = isShown ? "inherit" : "piped";
  try {
    const child = new Deno.Command(program, {
      args,
      cwd,
      stdin: "null",
      stdout: pipe,
      stderr: pipe,
    });
    if (isShown) return { code: (await child.spawn().status).code, output: "" };
    const { code, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    if (error instanceof Deno.errors.NotCapable) {
      throw new RunError(
        "Cannot run the stack: this process may not start others",
        "deno task up, down or logs",
      );
    }
    throw error;
  }
}
