import postgres from "postgres";
import { freePort } from "./ports.ts";
import { postgresPrograms } from "./postgres_programs.ts";

/**
 * A real PostgreSQL for tests, in a temporary folder on a free port, run as the user `nobody` where
 * the tests run as root, which it refuses. With DATABASE_URL set that server is used instead, and
 * each test has a database of its own there all the same. TimescaleDB is used where it is installed,
 * or on the server of GRIDWATCH_TIMESCALE_URL.
 */

const START_MS_MAX = 30_000;
const NOBODY = 65_534;
/** Of `postmaster.pid`: how far a server is. */
const STATUS_LINE = 7;

export type Postgres = AsyncDisposable & {
  /** Of a server-wide database. */
  readonly url: string;
  /** True: a test may kill it. */
  readonly isOwned: boolean;
  /** Makes an empty database, and gives its URL; with TimescaleDB's extension in it or without. */
  createDatabase(options?: { readonly extension?: boolean }): Promise<string>;
  /** SIGKILL of the server and all it has started. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  log(): Promise<string>;
};

/** TimescaleDB's editions, as its setting `timescaledb.license` names them. */
export type TimescaleLicense = "timescale" | "apache";

export type PostgresOptions = {
  /** Always a server started here. */
  readonly owned?: boolean;
  /** A server that has TimescaleDB; null: one that need not. */
  readonly timescale?: TimescaleLicense | null;
};

/** The server of DATABASE_URL, or one started here. */
export async function startPostgres(
  { owned = false, timescale = null }: PostgresOptions = {},
): Promise<Postgres> {
  const given = timescale === null ? databaseUrl() : await findTimescaleUrl();
  if (!owned && timescale !== "apache" && given !== null) return new ExternalPostgres(given);
  return await OwnedPostgres.start(timescale);
}

/** Where TimescaleDB is at hand: on a server that runs, and installed, to be started here. */
export async function findTimescale(): Promise<{ running: boolean; installed: boolean }> {
  const installed = await isTimescaleInstalled();
  return { running: installed || await findTimescaleUrl() !== null, installed };
}

function databaseUrl(): string | null {
  return Deno.env.get("DATABASE_URL") || null;
}

async function findTimescaleUrl(): Promise<string | null> {
  const named = Deno.env.get("GRIDWATCH_TIMESCALE_URL");
  if (named) return named;
  const url = databaseUrl();
  if (url === null) return null;
  const sql = "SELECT current_setting('timescaledb.license', true) AS license " +
    "FROM pg_available_extensions WHERE name = 'timescaledb' " +
    "AND current_setting('shared_preload_libraries') LIKE '%timescaledb%'";
  return (await rowsOf(url, sql)).length > 0 ? url : null;
}

async function isTimescaleInstalled(): Promise<boolean> {
  const binaries = await postgresPrograms().catch(() => null);
  if (binaries === null) return false;
  try {
    const { stdout } = await new Deno.Command(`${binaries}/pg_config`, { args: ["--sharedir"] })
      .output();
    const folder = new TextDecoder().decode(stdout).trim();
    await Deno.stat(`${folder}/extension/timescaledb.control`);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Rows of one statement, over a connection of its own. */
export async function rowsOf(
  url: string,
  sql: string,
  params: readonly (string | number)[] = [],
): Promise<Record<string, unknown>[]> {
  const client = postgres(url, { max: 1, onnotice: () => {}, prepare: false });
  try {
    return [...await client.unsafe(sql, [...params])];
  } finally {
    await client.end({ timeout: 1 });
  }
}

let databases = 0;

/** Of template0: template1 may have the extension in it, and its background workers too. */
async function makeDatabase(server: string, { extension = false } = {}): Promise<string> {
  const name = `gw_${Deno.pid}_${++databases}`;
  await rowsOf(server, `CREATE DATABASE ${name} TEMPLATE template0`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  if (extension) await rowsOf(url.href, "CREATE EXTENSION timescaledb");
  return url.href;
}

class ExternalPostgres implements Postgres {
  readonly isOwned = false;
  readonly #made: string[] = [];

  constructor(readonly url: string) {}

  async createDatabase(options?: { readonly extension?: boolean }): Promise<string> {
    const url = await makeDatabase(this.url, options);
    this.#made.push(new URL(url).pathname.slice(1));
    return url;
  }

  kill(): Promise<void> {
    throw new Error("a server of DATABASE_URL is not the tests' to kill");
  }

  restart(): Promise<void> {
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    for (const name of this.#made.splice(0)) {
      await rowsOf(this.url, `DROP DATABASE ${name} WITH (FORCE)`);
    }
  }

  log(): Promise<string> {
    return Promise.resolve("(a server of its own)");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

class OwnedPostgres implements Postgres {
  readonly isOwned = true;
  readonly url: string;
  #process: Deno.ChildProcess | null = null;

  private constructor(
    readonly folder: string,
    readonly port: number,
    readonly binaries: string,
    readonly timescale: TimescaleLicense | null,
  ) {
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  }

  static async start(timescale: TimescaleLicense | null): Promise<OwnedPostgres> {
    const binaries = await postgresPrograms();
    const folder = await Deno.makeTempDir({ prefix: "gridwatch-postgres-" });
    const server = new OwnedPostgres(folder, freePort(), binaries, timescale);
    try {
      await Deno.chmod(folder, 0o777);
      await server.#run("initdb", [
        ...["-D", `${folder}/data`, "-A", "trust", "-U", "postgres", "-E", "UTF8"],
        ...["--locale=C.UTF-8", "--no-sync"],
      ]);
      await server.restart();
    } catch (error) {
      console.error(await server.log());
      await server.stop();
      throw error;
    }
    return server;
  }

  async createDatabase(options?: { readonly extension?: boolean }): Promise<string> {
    return await makeDatabase(this.url, options);
  }

  async restart(): Promise<void> {
    await this.#start(performance.now() + START_MS_MAX);
  }

  async #start(deadline: number): Promise<void> {
    this.#process = this.#command("postgres", [
      ...["-D", `${this.folder}/data`, "-p", String(this.port), "-h", "127.0.0.1"],
      ...["-k", this.folder, "-c", "fsync=off", "-c", "shared_buffers=128MB"],
      ...["-c", "max_wal_size=2GB", "-c", "log_min_messages=fatal"],
      ...timescaleSettings(this.timescale),
    ]).spawn();
    let hasEnded = false;
    this.#process.status.then(() => hasEnded = true);
    while (!await this.#answers()) {
      if (performance.now() > deadline) throw new Error("PostgreSQL does not answer");
      // After a kill it refuses to start until the last of its old processes is gone.
      if (hasEnded) return await this.#start(deadline);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async kill(): Promise<void> {
    // Its children end when they miss it, and a new one waits until they are gone.
    const pid = Number((await this.#pidFile()).split("\n")[0]);
    Deno.kill(pid, "SIGKILL");
    await this.#process?.status;
    this.#process = null;
    await Deno.remove(`${this.folder}/data/postmaster.pid`).catch(() => {});
  }

  async stop(): Promise<void> {
    if (this.#process !== null) {
      const pid = Number((await this.#pidFile()).split("\n")[0]);
      if (pid > 0) Deno.kill(pid, "SIGINT"); // fast shutdown
      await this.#process.status;
      this.#process = null;
    }
    await Deno.remove(this.folder, { recursive: true });
  }

  async log(): Promise<string> {
    const text = await Deno.readTextFile(`${this.folder}/log`).catch(() => "(no log)");
    return `--- PostgreSQL, ${this.folder}/log\n${text.split("\n").slice(-40).join("\n")}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #pidFile(): Promise<string> {
    const path = `${this.folder}/data/postmaster.pid`;
    return await Deno.readTextFile(path).catch(() => ""); // it has ended
  }

  async #answers(): Promise<boolean> {
    return (await this.#pidFile()).split("\n").at(STATUS_LINE)?.trim() === "ready";
  }

  async #run(program: string, args: string[]): Promise<void> {
    const { success } = await this.#command(program, args).output();
    if (!success) throw new Error(`${program} failed: ${await this.log()}`);
  }

  /** `$0` and the rest become the command. */
  #command(program: string, args: string[]): Deno.Command {
    const script = `exec "$0" "$@" >>"${this.folder}/log" 2>&1`;
    const user = Deno.uid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
    return new Deno.Command("sh", {
      args: ["-c", script, `${this.binaries}/${program}`, ...args],
      ...user,
      cwd: this.folder,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
  }
}

/** Each database with the extension has a scheduler, and each of its jobs under way a worker. */
function timescaleSettings(license: TimescaleLicense | null): string[] {
  if (license === null) return [];
  return [
    ...["-c", "shared_preload_libraries=timescaledb", "-c", `timescaledb.license=${license}`],
    ...["-c", "timescaledb.telemetry_level=off", "-c", "max_worker_processes=64"],
    ...["-c", "timescaledb.max_background_workers=32"],
  ];
}
