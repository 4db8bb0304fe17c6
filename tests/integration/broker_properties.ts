/** Settings of a broker. */
export type BrokerProperties = Readonly<Record<string, string | number>>;

/** What every broker of the tests is told: small, quick to notice a death, and nothing expires. */
export function commonProperties(
  { replication, inSync }: { replication: number; inSync: number },
): BrokerProperties {
  return {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": 4,
    "offsets.topic.replication.factor": replication,
    "transaction.state.log.num.partitions": 4,
    "transaction.state.log.replication.factor": replication,
    "transaction.state.log.min.isr": inSync,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    // A killed broker comes back only when its session has ended.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 300,
    "log.index.size.max.bytes": 1 << 20,
    "log.cleaner.dedupe.buffer.size": 8 << 20,
    "log.cleaner.backoff.ms": 200,
    // Old readings keep their own times.
    "log.retention.ms": -1,
  };
}

/** The text of a server.properties. */
export function propertiesText(properties: BrokerProperties): string {
  return Object.entries(properties).map(([key, value]) => `${key}=${value}\n`).join("");
}
