import { commonProperties, propertiesText } from "./broker_properties.ts";
import { BrokerProcess, runJava } from "./kafka_broker.ts";
import { KAFKA_VERSION } from "./kafka_harness.ts";
import { kafkaJars } from "./kafka_jars.ts";
import { Proxy } from "./chaos_proxy.ts";
import { freePorts } from "./ports.ts";

/** Brokers with a way in that a proxy stands before: who comes by it is always sent by it. */
export type ProxiedBrokers = AsyncDisposable & {
  readonly nodes: readonly BrokerProcess[];
  readonly proxies: readonly Proxy[];
  /** Not through the proxies. */
  readonly addresses: readonly string[];
  /** Runs a class of Kafka's own tools. */
  java(className: string, args: readonly string[]): Promise<string>;
  logs(): Promise<string>;
};

export async function startProxiedBrokers(
  count: number,
  version = KAFKA_VERSION,
): Promise<ProxiedBrokers> {
  const jars = await kafkaJars(version);
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-chaos-" });
  const ports = freePorts(count * 3);
  const numbers = Array.from({ length: count }, (_, n) => n);
  const [direct, proxied, controllers] = [0, 1, 2].map((kind) =>
    numbers.map((n) => ports[kind * count + n])
  );
  const proxies = proxied.map((port) => new Proxy(() => ({ hostname: "127.0.0.1", port })));
  const addresses = direct.map((port) => `127.0.0.1:${port}`);
  const replication = Math.min(3, count);
  const nodes = numbers.map((n) => {
    const properties = {
      ...commonProperties({ replication, inSync: Math.max(1, replication - 1) }),
      "node.id": n + 1,
      "controller.quorum.voters": controllers.map((port, c) => `${c + 1}@127.0.0.1:${port}`).join(),
      "listeners": `PLAINTEXT://${addresses[n]},PROXIED://127.0.0.1:${proxied[n]},` +
        `CONTROLLER://127.0.0.1:${controllers[n]}`,
      "advertised.listeners": `PLAINTEXT://${addresses[n]},PROXIED://${proxies[n].address}`,
      "listener.security.protocol.map":
        "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
      "inter.broker.listener.name": "PLAINTEXT",
      "min.insync.replicas": Math.max(1, replication - 1),
      "log.dirs": `${folder}/${n + 1}/data`,
    };
    return new BrokerProcess({
      ...{ id: n + 1, address: addresses[n], folder: `${folder}/${n + 1}`, jars, heapMib: 512 },
      clusterSize: count,
      properties: propertiesText(properties),
    });
  });
  const logs = async () => (await Promise.all(nodes.map((node) => node.log()))).join("\n");
  const stop = async () => {
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
    await Promise.all(nodes.map((node) => node.kill()));
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    console.error(await logs());
    await stop();
    throw error;
  }
  const java = async (className: string, args: readonly string[]) =>
    await runJava(jars, [className, "--bootstrap-server", addresses.join(), ...args]);
  return { nodes, proxies, addresses, java, logs, [Symbol.asyncDispose]: stop };
}
