import { commonProperties, propertiesText } from "./broker_properties.ts";
import { BrokerProcess } from "./kafka_broker.ts";
import { KAFKA_VERSION } from "./kafka_harness.ts";
import { kafkaJars } from "./kafka_jars.ts";
import { Proxy } from "./chaos_proxy.ts";
import { freePorts } from "./ports.ts";

/** A broker with a way in that a proxy stands before: who comes by it is always sent by it. */
export type ProxiedBroker = AsyncDisposable & {
  readonly node: BrokerProcess;
  readonly proxy: Proxy;
  /** Not through the proxy. */
  readonly address: string;
};

export async function startProxiedBroker(version = KAFKA_VERSION): Promise<ProxiedBroker> {
  const jars = await kafkaJars(version);
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-chaos-" });
  const [direct, proxied, controller] = freePorts(3);
  const proxy = new Proxy(() => ({ hostname: "127.0.0.1", port: proxied }));
  const address = `127.0.0.1:${direct}`;
  const properties = {
    ...commonProperties({ replication: 1, inSync: 1 }),
    "node.id": 1,
    "controller.quorum.voters": `1@127.0.0.1:${controller}`,
    "listeners": `PLAINTEXT://${address},PROXIED://127.0.0.1:${proxied},` +
      `CONTROLLER://127.0.0.1:${controller}`,
    "advertised.listeners": `PLAINTEXT://${address},PROXIED://${proxy.address}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": `${folder}/1/data`,
  };
  const node = new BrokerProcess({
    ...{ id: 1, address, folder: `${folder}/1`, jars, heapMib: 512, clusterSize: 1 },
    properties: propertiesText(properties),
  });
  const stop = async () => {
    await proxy[Symbol.asyncDispose]();
    await node.kill();
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await node.start();
  } catch (error) {
    console.error(await node.log());
    await stop();
    throw error;
  }
  return { node, proxy, address, [Symbol.asyncDispose]: stop };
}
