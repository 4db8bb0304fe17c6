const HEARTBEAT_BEATS = 10;
const QUEUED_MAX = 8;
const encoder = new TextEncoder();

/** Who listens to `/api/events`. */
export type EventHub = {
  /**
   * A stream of server-sent events, or null when there are as many as there may be, of all or of this
   * client: an address, empty where it is not known or is that of many.
   */
  readonly subscribe: (client?: string) => ReadableStream<Uint8Array> | null;
  readonly clients: () => number;
};

/** What a hub is told. */
export type EventHubOptions = {
  /** The event's data, one line of JSON. Must not reject. */
  readonly readStatus: () => Promise<string>;
  readonly clientsMax: number;
  /** Of one client. */
  readonly streamsMax: number;
  readonly beatMs: number;
  readonly closing?: AbortSignal;
};

type Client = {
  readonly address: string;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  lastSent: string;
  quietBeats: number;
};

function streamsOf(clients: ReadonlySet<Client>, address: string): number {
  return [...clients].filter((client) => client.address === address).length;
}

/** What a client is to be sent at a beat: a status that is news, now and then a sign of life. */
function newsOf(client: Client, status: string): string | null {
  if (status !== client.lastSent) {
    client.lastSent = status;
    client.quietBeats = 0;
    return `event: status\ndata: ${status}\n\n`;
  }
  if (++client.quietBeats < HEARTBEAT_BEATS) return null;
  client.quietBeats = 0;
  return ": nothing changed\n\n";
}

/**
 * One beat for all clients: the status is read once a beat however many listen, and not at all when
 * nobody does. A client that does not read what it is sent is let go; its browser comes again.
 */
export function createEventHub(
  { readStatus, clientsMax, streamsMax, beatMs, closing }: EventHubOptions,
): EventHub {
  const clients = new Set<Client>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let beating = false;
  /** The status of the last beat, while there are beats. */
  let lastStatus: string | null = null;

  function leave(client: Client): void {
    clients.delete(client);
    if (clients.size > 0) return;
    clearTimeout(timer);
    lastStatus = null;
  }

  function send(client: Client, text: string): void {
    if (!clients.has(client)) return;
    if ((client.controller.desiredSize ?? 0) <= 0) {
      leave(client);
      client.controller.close();
      return;
    }
    client.controller.enqueue(encoder.encode(text));
  }

  function tell(client: Client, status: string): void {
    const text = newsOf(client, status);
    if (text !== null) send(client, text);
  }

  async function beat(): Promise<void> {
    if (beating) return;
    beating = true;
    const status = await readStatus();
    beating = false;
    for (const client of [...clients]) tell(client, status);
    if (clients.size === 0) return;
    lastStatus = status;
    timer = setTimeout(beat, beatMs);
  }

  closing?.addEventListener("abort", () => {
    for (const client of [...clients]) {
      leave(client);
      client.controller.close();
    }
  }, { once: true });

  return {
    clients: () => clients.size,
    subscribe(address = "") {
      if (clients.size >= clientsMax || closing?.aborted) return null;
      if (address !== "" && streamsOf(clients, address) >= streamsMax) return null;
      let client: Client;
      return new ReadableStream<Uint8Array>({
        start(controller) {
          client = { address, controller, lastSent: "", quietBeats: 0 };
          clients.add(client);
          send(client, "retry: 2000\n\n");
          if (lastStatus === null) beat();
          else tell(client, lastStatus);
        },
        cancel() {
          leave(client);
        },
      }, new CountQueuingStrategy({ highWaterMark: QUEUED_MAX }));
    },
  };
}
