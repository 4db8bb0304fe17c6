/**
 * kafkajs as users have it. A process of its own, with a lock file of its own, so that the project
 * does not depend on it: one request on stdin, one answer on stdout.
 */
import type { ClientRequest, ConsumeRequest, ProduceRequest, ReadRecord } from "./requests.ts";

/** The version that its users have: the last one, of 2023. */
export const KAFKAJS = "npm:kafkajs@2.2.4";

type Message = {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly offset: string;
  readonly headers: Readonly<Record<string, Uint8Array>>;
};

type Sender = {
  send(request: {
    topic: string;
    compression?: number;
    messages: readonly { key: string | null; value: string | null; partition?: number }[];
  }): Promise<unknown>;
};

type Producer = Sender & {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  transaction(): Promise<Sender & { commit(): Promise<void>; abort(): Promise<void> }>;
};

type Consumer = {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  subscribe(request: { topics: readonly string[]; fromBeginning: boolean }): Promise<void>;
  run(options: {
    eachMessage(payload: { topic: string; partition: number; message: Message }): Promise<void>;
  }): Promise<void>;
};

type Client = {
  producer(options?: Readonly<Record<string, unknown>>): Producer;
  consumer(options: { groupId: string }): Consumer;
};

type Library = {
  readonly Kafka: new (options: Readonly<Record<string, unknown>>) => Client;
  readonly CompressionTypes: Readonly<Record<string, number>>;
  readonly logLevel: { readonly ERROR: number };
};

const decoder = new TextDecoder();

async function produce(
  client: Client,
  { topic, records, compression, transactionalId, outcome }: ProduceRequest,
  types: Library["CompressionTypes"],
): Promise<ReadRecord[]> {
  const request = {
    topic,
    messages: records,
    ...(compression === undefined ? {} : { compression: types[compression.toUpperCase()] }),
  };
  if (transactionalId === undefined) {
    const producer = client.producer();
    await producer.connect();
    await producer.send(request);
    await producer.disconnect();
    return [];
  }
  const producer = client.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const transaction = await producer.transaction();
  await transaction.send(request);
  await (outcome === "abort" ? transaction.abort() : transaction.commit());
  await producer.disconnect();
  return [];
}

async function consume(
  client: Client,
  { topics, endKey }: ConsumeRequest,
): Promise<ReadRecord[]> {
  const consumer = client.consumer({ groupId: crypto.randomUUID() });
  await consumer.connect();
  await consumer.subscribe({ topics: Object.keys(topics), fromBeginning: true });
  const records: ReadRecord[] = [];
  let open = Object.values(topics).reduce((sum, { partitions }) => sum + partitions, 0);
  const { promise, resolve } = Promise.withResolvers<void>();
  const text = (bytes: Uint8Array | null) => bytes === null ? null : decoder.decode(bytes);
  await consumer.run({
    eachMessage: ({ topic, partition, message: { key, value, offset, headers } }) => {
      if (text(key) === endKey) {
        if (--open === 0) resolve();
        return Promise.resolve();
      }
      records.push({
        ...{ topic, partition, offset: Number(offset), key: text(key), value: text(value) },
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, bytes]) => [name, decoder.decode(bytes)]),
        ),
      });
      return Promise.resolve();
    },
  });
  await promise;
  await consumer.disconnect();
  return records;
}

if (import.meta.main) {
  const request: ClientRequest = await new Response(Deno.stdin.readable).json();
  const { Kafka, CompressionTypes, logLevel }: Library = await import(KAFKAJS);
  const client = new Kafka({ brokers: request.brokers, logLevel: logLevel.ERROR });
  const records = request.kind === "produce"
    ? await produce(client, request, CompressionTypes)
    : await consume(client, request);
  console.log(JSON.stringify({ records }));
}
