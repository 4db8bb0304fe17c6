/// <reference lib="deno.worker" />
import { openLog } from "./kafka_fixture.ts";

/** A member of a group in a thread of its own: ending the thread kills it without leaving. */
self.onmessage = (event: MessageEvent<{ brokers: string[]; group: string; topic: string }>) => {
  const { brokers, group, topic } = event.data;
  const member = openLog(brokers).group(
    {
      ...{ group, topic, binding: "" },
      ...{ sessionTimeoutMs: 2_000, heartbeatMs: 300, rebalanceTimeoutMs: 5_000 },
    },
    {
      onAssigned: () => self.postMessage(member.partitions),
      onRevoked: (partitions) => self.postMessage({ revoked: partitions }),
      onLost: () => self.postMessage([]),
    },
  );
};
