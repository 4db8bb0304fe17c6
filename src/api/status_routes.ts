import type { Hono } from "hono";
import { createEventHub, type EventHub } from "./events.ts";
import { readParameters } from "./parameters.ts";
import type { StatusPorts } from "./ports.ts";
import { type Answers, readStatus, statusOfLive, summarizeLedger } from "./status.ts";

const EVENT_CLIENTS_MAX = 100;
/** Of one address: a browser has six connections to a server, and an office may have one address. */
const CLIENT_STREAMS_MAX = 30;
const EVENT_BEAT_MS = 1000;

/** The status as it is, as a stream of what changes in it, and the ledger it stands on. */
export function addStatusRoutes(
  app: Hono,
  { ports, answers }: { readonly ports: StatusPorts; readonly answers: Answers },
): EventHub {
  const { live, version, reportError, closing } = ports;
  const hub = createEventHub({
    clientsMax: EVENT_CLIENTS_MAX,
    streamsMax: CLIENT_STREAMS_MAX,
    beatMs: EVENT_BEAT_MS,
    closing,
    async readStatus() {
      try {
        return JSON.stringify(await readStatus({ answers, live, version }));
      } catch (error) {
        reportError?.(error, "/api/events");
        const store = { ok: false, error: "The store does not answer" };
        return JSON.stringify({ ...statusOfLive(live(), version), store });
      }
    },
  });

  app.get("/api/status", async (c) => {
    readParameters(c.req.url, []);
    return c.json(await readStatus({ answers, live, version }));
  });

  app.get("/api/ledger", async (c) => {
    readParameters(c.req.url, []);
    // The check first: the ledger is then at least as new, and equal once nothing is committed.
    const check = await answers.tableCheck();
    const ledger = await answers.ledger();
    return c.json({
      ...ledger,
      ...summarizeLedger(ledger, check),
      tables: check.tables,
      tables_ledger: check.ledger,
    });
  });

  app.get("/api/events", (c) => {
    const headers = {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    };
    // A HEAD's body is thrown away unread: no stream would ever be cancelled.
    if (c.req.method === "HEAD") return c.body(null, 200, headers);
    const stream = hub.subscribe(addressOf(c.env));
    if (stream !== null) return c.body(stream, 200, headers);
    c.header("retry-after", "10");
    return c.json({
      error:
        `Cannot listen: there are ${EVENT_CLIENTS_MAX} listeners, ${CLIENT_STREAMS_MAX} of this ` +
        "address, or it is shutting down",
      hint: "Close a page, or poll /api/status",
    }, 503);
  });
  return hub;
}

/** Who asks, as the server below says it; empty: nobody does, or all come by a proxy of this machine. */
function addressOf(connection: unknown): string {
  const { remoteAddr } = (connection ?? {}) as { remoteAddr?: { hostname?: unknown } };
  const address = String(remoteAddr?.hostname ?? "");
  return address === "::1" || address.startsWith("127.") ? "" : address;
}
