import assert from "node:assert/strict";
import { RunError, UsageError } from "../../src/console/errors.ts";
import { down, logs, type Ran, type StackPorts, up } from "../../src/commands/stack.ts";

/** A machine where programs answer by `answer`; what was run is in `ran`. */
function fakePorts(answer: (line: string) => Ran | null) {
  const ran: string[] = [];
  let said = "";
  const ports: StackPorts = {
    run: (command) => {
      const line = command.join(" ").replace("-p gridwatch -f /repo/docker-compose.yml ", "");
      ran.push(line);
      return Promise.resolve(answer(line));
    },
    folder: "/repo",
    print: (text) => said += text,
    say: (text) => said += `${text}\n`,
  };
  return { ports, ran, said: () => said };
}

const good: Ran = { code: 0, output: "" };

async function hintOf(run: () => Promise<number>): Promise<[string, string | undefined]> {
  try {
    await run();
  } catch (error) {
    if (error instanceof RunError) return [error.message, error.hint];
    throw error;
  }
  throw new Error("it did not fail");
}

Deno.test("up() offers the demo where Docker is missing, does not run, or has no compose", async () => {
  const missing = fakePorts(() => null);
  const [message, hint] = await hintOf(() => up([], missing.ports));
  assert.equal(message, "Cannot run the stack: Docker is not installed");
  assert.match(hint ?? "", /deno task demo/);
  const stopped = fakePorts(() => ({ code: 1, output: "x\nCannot connect to the daemon\n" }));
  const [said, way] = await hintOf(() => up([], stopped.ports));
  assert.equal(said, "Cannot run the stack: Docker does not answer: Cannot connect to the daemon");
  assert.match(way ?? "", /deno task demo/);
  const bare = fakePorts((line) => line.startsWith("docker version") ? good : null);
  assert.match((await hintOf(() => up([], bare.ports)))[1] ?? "", /docker-compose-plugin/);
});

Deno.test("up() starts the stack and says where its pages are", async () => {
  const { ports, ran, said } = fakePorts((line) =>
    line.includes("port grafana") ? { code: 0, output: "127.0.0.1:3111\n" } : good
  );
  assert.equal(await up(["--replay"], ports), 0);
  assert.ok(ran.includes("docker compose --profile replay up --detach --remove-orphans"), `${ran}`);
  assert.match(said(), /Grafana +http:\/\/localhost:3111 /);
  assert.match(said(), /Kafka UI +http:\/\/localhost:8080/);
});

/** What compose says of the stack, as far as it is asked. */
const configOf = (host: string, password: string): Ran => ({
  code: 0,
  output: JSON.stringify({
    services: {
      kafka: { ports: [{ host_ip: host, target: 9092 }] },
      sink: {},
      timescaledb: {
        environment: { POSTGRES_PASSWORD: password, GRAFANA_DB_PASSWORD: "x", TOKEN: null },
      },
      grafana: { environment: { GF_SECURITY_ADMIN_PASSWORD: "admin" } },
    },
  }),
});

Deno.test("up() refuses passwords that all know where other machines reach the stack", async () => {
  const upWith = async (config: Ran) => {
    const { ports, ran } = fakePorts((line) => line.includes(" config ") ? config : good);
    const ended = await up(["--quiet"], ports).catch((error) => error);
    return { ended, isStarted: ran.some((line) => line.includes("up --detach")) };
  };
  for (const host of ["0.0.0.0", "192.168.1.4", "::", "[::]"]) {
    const { ended, isStarted } = await upWith(configOf(host, "gridwatch"));
    assert.ok(ended instanceof UsageError, host);
    assert.equal(isStarted, false);
    assert.match(ended.message, /^Cannot start the stack on BIND=.*: other machines reach it/);
    assert.match(ended.hint ?? "", /^set POSTGRES_PASSWORD, GRAFANA_PASSWORD in \.env/);
  }
  for (const host of ["127.0.0.1", "127.8.0.1", "::1"]) {
    assert.equal((await upWith(configOf(host, "gridwatch"))).ended, 0, host);
  }
  const { ended } = await upWith(configOf("0.0.0.0", "own"));
  assert.match(ended.hint, /^set GRAFANA_PASSWORD in/);
  assert.equal((await upWith({ code: 15, output: "no such file" })).ended, 0, "compose says it");
});

Deno.test("down() and logs() take docker-compose where it stands alone", async () => {
  const { ports, ran } = fakePorts((line) => line.startsWith("docker compose") ? null : good);
  assert.equal(await down(["--volumes"], ports), 0);
  assert.equal(await logs(["sink", "-f"], ports), 0);
  assert.deepEqual(ran.filter((line) => / (down|logs) /.test(line)), [
    "docker-compose --profile replay down --remove-orphans --volumes",
    "docker-compose logs --tail 200 --follow sink",
  ]);
});

Deno.test("up(), down() and logs() refuse words that they do not know", async () => {
  const { ports, ran } = fakePorts(() => good);
  await assert.rejects(() => up(["sink"], ports), UsageError);
  await assert.rejects(() => down(["--all"], ports), UsageError);
  await assert.rejects(() => logs(["--", "--follow"], ports), UsageError);
  assert.deepEqual(ran, []);
});

Deno.test("up() fails as compose does", async () => {
  const { ports } = fakePorts((line) => line.includes(" up ") ? { code: 17, output: "" } : good);
  const [message] = await hintOf(() => up([], ports));
  assert.equal(message, "Cannot start the stack: compose ended with 17");
});

Deno.test("up() asks once for Docker and its compose", async () => {
  const fake = fakePorts(() => good);
  assert.equal(await up([], fake.ports), 0);
  const asked = fake.ran.filter((line) => /version/.test(line));
  assert.deepEqual(asked, [
    "docker version --format {{.Server.Version}}",
    "docker compose version",
  ]);
});
