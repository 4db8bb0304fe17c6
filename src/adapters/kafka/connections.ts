import { Connection, ConnectionStatuses } from "@platformatic/kafka";

export type Sasl = {
  readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER";
  readonly username?: string;
  readonly password?: string;
  /** OAUTHBEARER: asked for a token at each connection and before the last one ends. */
  readonly token?: () => Promise<string>;
};

export type Tls = {
  /** The authority's certificates, PEM; absent: the system's. */
  readonly ca?: string;
  /** A client's own certificate and key, PEM. */
  readonly cert?: string;
  readonly key?: string;
};

/** How to reach a cluster. */
export type KafkaOptions = {
  /** `host:port` of any of its brokers. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls: Tls | null;
  readonly sasl: Sasl | null;
  readonly connectTimeoutMs: number;
  /** An answer later than this counts as lost, and its connection with it. */
  readonly requestTimeoutMs: number;
};

export type Address = { readonly host: string; readonly port: number };

/** Of a connection that takes requests. */
const STANDING = new Set<string>([
  ConnectionStatuses.CONNECTED,
  ConnectionStatuses.REAUTHENTICATING,
]);

/** Requests on their way over one connection at once; the rest waits here. */
const IN_FLIGHT_MAX = 64;

/**
 * Open connections, one for each broker and lane. A broker answers a connection's requests in
 * order, one at a time, so whatever may be held (a fetch that polls, a join of a group) has a lane
 * of its own.
 */
export class KafkaConnections {
  readonly options: KafkaOptions;
  readonly #open = new Map<string, Promise<Connection>>();
  #closed = false;

  constructor(options: KafkaOptions) {
    this.options = options;
  }

  /** The connection to a broker in a lane, made when there is none that stands. */
  async get(broker: Address, lane: string): Promise<Connection> {
    const key = `${lane} ${broker.host}:${broker.port}`;
    for (;;) {
      const opening = this.#open.get(key) ?? this.#begin(broker, key);
      const connection = await opening;
      if (STANDING.has(connection.status)) return connection;
      this.#forget(key, opening);
    }
  }

  /** Closes the connections of a lane. */
  async closeLane(lane: string): Promise<void> {
    const ours = [...this.#open].filter(([key]) => key.startsWith(`${lane} `));
    await Promise.all(ours.map(([key, open]) => this.#close(key, open)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#open].map(([key, open]) => this.#close(key, open)));
  }

  #begin(broker: Address, key: string): Promise<Connection> {
    if (this.#closed) return Promise.reject(new Error("the connections are closed"));
    const opening = this.#connect(broker);
    this.#open.set(key, opening);
    const forget = () => this.#forget(key, opening);
    opening.then((connection) => connection.on("close", forget), forget);
    return opening;
  }

  /** A newer one may stand in its place by then: that stays. */
  #forget(key: string, opening: Promise<Connection>): void {
    if (this.#open.get(key) === opening) this.#open.delete(key);
  }

  async #connect({ host, port }: Address): Promise<Connection> {
    const { clientId, tls, sasl, connectTimeoutMs, requestTimeoutMs } = this.options;
    const connection = new Connection(clientId, {
      connectTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      maxInflights: IN_FLIGHT_MAX,
      ...(tls === null ? {} : { tls: { ...tls } }),
      ...(sasl === null ? {} : { sasl: { ...sasl } }),
    });
    // Every request gets its own error; unheard, this event would end the process.
    connection.on("error", () => {});
    try {
      await connection.connect(host, port);
    } catch (error) {
      await connection.close();
      throw error;
    }
    return connection;
  }

  async #close(key: string, open: Promise<Connection>): Promise<void> {
    this.#open.delete(key);
    try {
      await (await open).close();
    } catch {
      // it was never open
    }
  }
}
