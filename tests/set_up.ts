/**
 * `deno task test:setup`: makes a machine ready for the tests that start servers. Java and Maven come
 * by apt-get where this may install; PostgreSQL and Kafka by npm and Maven, kept for the next time.
 * What cannot be had is said, and its tests are skipped by name; where CI is set that is a failure.
 */
import {
  lackOf,
  lackOfProgram,
  type Server,
  SERVERS,
  SYSTEM_PACKAGES,
} from "./integration/servers.ts";

const PROGRAMS = Object.keys(SYSTEM_PACKAGES) as (keyof typeof SYSTEM_PACKAGES)[];

/** Installs the system's packages whose programs are missing, where it may. */
async function installPackages(): Promise<void> {
  const lacks = await Promise.all(PROGRAMS.map(lackOfProgram));
  const packages = PROGRAMS.filter((_, i) => lacks[i] !== null).map((name) =>
    SYSTEM_PACKAGES[name]
  );
  if (packages.length === 0 || Deno.uid() !== 0) return;
  if (await aptGet("update", "-qq")) {
    await aptGet("install", "-y", "-qq", "--no-install-recommends", ...packages);
  }
}

/** Whether it did; there is none on other systems. */
async function aptGet(...args: string[]): Promise<boolean> {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    return (await new Deno.Command("apt-get", { args, env, stdin: "null" }).spawn().status).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

await installPackages();
const lacking: Server[] = [];
for (const server of SERVERS) {
  const lack = await lackOf(server);
  if (lack === null) continue;
  lacking.push(server);
  console.error(`Tests with ${server} are skipped: ${lack}`);
}
if (lacking.length > 0 && Deno.env.get("CI")) Deno.exit(1);
