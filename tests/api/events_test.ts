import assert from "node:assert/strict";
import { createEventHub } from "../../src/api/events.ts";
import { createBench, openFilled } from "./fixture.ts";

const filled = await openFilled();
const decoder = new TextDecoder();

/** Reads up to the first event or comment of a stream. */
async function readUntil(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  wanted: RegExp,
): Promise<string> {
  let text = "";
  while (!wanted.test(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the stream ended with ${JSON.stringify(text)}`);
    text += decoder.decode(value);
  }
  return text;
}

Deno.test("/api/events begins with the whole status and ends when the client goes", async () => {
  const bench = createBench(filled);
  const response = await bench.app.request("/api/events");
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const reader = response.body!.getReader();
  const text = await readUntil(reader, /data: .*\n\n/);
  assert.match(text, /^retry: 2000\n\nevent: status\ndata: /);
  const status = JSON.parse(/data: (.*)\n\n/.exec(text)![1]);
  assert.deepEqual(status, (await bench.get("/api/status")).body);
  assert.match(await (await bench.app.request("/metrics")).text(), /^gridwatch_event_clients 1$/m);
  await reader.cancel();
  assert.match(await (await bench.app.request("/metrics")).text(), /^gridwatch_event_clients 0$/m);
});

Deno.test("/api/events tells of the run and of the store's failure when the store fails", async () => {
  const bench = createBench(filled, { state: "running" });
  bench.fail = true;
  const reader = (await bench.app.request("/api/events")).body!.getReader();
  const text = await readUntil(reader, /data: .*\n\n/);
  const status = JSON.parse(/data: (.*)\n\n/.exec(text)![1]);
  assert.equal(status.state, "running");
  assert.deepEqual(status.store, { ok: false, error: "The store does not answer" });
  assert.equal(status.ledger, null);
  await reader.cancel();
});

Deno.test("/api/events refuses the client after the hundredth, and takes one when another goes", async () => {
  const bench = createBench(filled);
  const bodies = [];
  for (let i = 0; i < 100; i++) bodies.push((await bench.app.request("/api/events")).body!);
  const refused = await bench.app.request("/api/events");
  assert.equal(refused.status, 503);
  assert.match((await refused.json()).hint, /Close a page/);
  await bodies[0].cancel();
  const taken = await bench.app.request("/api/events");
  assert.equal(taken.status, 200);
  await Promise.all([...bodies.slice(1), taken.body!].map((body) => body.cancel()));
});

Deno.test("/api/events refuses an address after thirty streams, and no other address", async () => {
  const bench = createBench(filled);
  const ask = (hostname: string) =>
    bench.app.request("/api/events", undefined, { remoteAddr: { hostname } });
  const responses = await Promise.all(Array.from({ length: 30 }, () => ask("10.0.0.1")));
  assert.ok(responses.every(({ status }) => status === 200));
  const refused = await ask("10.0.0.1");
  assert.equal(refused.status, 503);
  assert.match((await refused.json()).error, /30 of this address/);
  const others = await Promise.all(
    ["10.0.0.2", ...Array.from({ length: 31 }, () => "127.0.0.1"), "::1"].map(ask),
  );
  assert.ok(others.every(({ status }) => status === 200), "a proxy's address is that of many");
  await Promise.all([...responses, ...others].map(({ body }) => body!.cancel()));
});

Deno.test("/api/events takes no place for a HEAD", async () => {
  const bench = createBench(filled);
  await bench.app.request("/api/events", { method: "HEAD" });
  assert.match(await (await bench.app.request("/metrics")).text(), /^gridwatch_event_clients 0$/m);
});

Deno.test("/api/events ends all streams when the server closes, and takes no more", async () => {
  const closing = new AbortController();
  const bench = createBench(filled, {}, { closing: closing.signal });
  const reader = (await bench.app.request("/api/events")).body!.getReader();
  await readUntil(reader, /data: .*\n\n/);
  closing.abort();
  assert.equal((await reader.read()).done, true);
  assert.equal((await bench.app.request("/api/events")).status, 503);
});

/** A hub whose beats follow at once, with a status that the test sets. */
function createHub() {
  const state = { status: "a", reads: 0 };
  const hub = createEventHub({
    clientsMax: 3,
    streamsMax: 2,
    beatMs: 0,
    readStatus: () => {
      state.reads++;
      return Promise.resolve(state.status);
    },
  });
  return { hub, state };
}

Deno.test("createEventHub() sends a status once, a heartbeat in quiet, and the next status", async () => {
  const { hub, state } = createHub();
  const reader = hub.subscribe()!.getReader();
  assert.equal(
    await readUntil(reader, /: nothing/),
    "retry: 2000\n\nevent: status\ndata: a\n\n: nothing changed\n\n",
  );
  state.status = "b";
  assert.match(await readUntil(reader, /data/), /event: status\ndata: b\n\n$/);
  await reader.cancel();
});

Deno.test("createEventHub() reads the status once a beat, however many listen", async () => {
  const { hub, state } = createHub();
  const readers = [1, 2, 3].map(() => hub.subscribe()!.getReader());
  await Promise.all(readers.map((reader) => readUntil(reader, /: nothing/)));
  // One read to begin with, ten quiet beats, and at most one under way.
  assert.ok(state.reads <= 13, `${state.reads} reads`);
  await Promise.all(readers.map((reader) => reader.cancel()));
});

Deno.test("createEventHub() lets go of a client that does not read", async () => {
  const { hub, state } = createHub();
  const idle = hub.subscribe()!;
  const reader = hub.subscribe()!.getReader();
  for (let i = 0; i < 20; i++) {
    state.status = `${i}`;
    await readUntil(reader, new RegExp(`data: ${i}\n`));
  }
  assert.equal(hub.clients(), 1);
  await reader.cancel();
  await idle.cancel();
  assert.equal(hub.clients(), 0);
});
