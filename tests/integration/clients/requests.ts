/** What the clients of users are asked, one JSON line each; `librdkafka_client.py` reads the same. */

/** A record as a client is to send it: by its key, or where it is told to. */
export type SentRecord = {
  readonly key: string | null;
  readonly value: string | null;
  /** Absent: the client's own partitioner puts it where the key says. */
  readonly partition?: number;
};

export type ProduceRequest = {
  readonly kind: "produce";
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly records: readonly SentRecord[];
  /** Absent: as the client is without a word. */
  readonly compression?: string;
  /** In a transaction of this id; absent: in none. */
  readonly transactionalId?: string;
  readonly outcome?: "commit" | "abort";
};

/** Reads committed records, from each partition's first one up to its first record with this key. */
export type ConsumeRequest = {
  readonly kind: "consume";
  readonly brokers: readonly string[];
  readonly topics: Readonly<Record<string, { readonly partitions: number }>>;
  readonly endKey: string;
};

export type ClientRequest = ProduceRequest | ConsumeRequest;

/** A record as a client read it; headers as text. */
export type ReadRecord = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
};

/** What is said on one line to end with. */
export type ClientAnswer = { readonly records: readonly ReadRecord[] };
