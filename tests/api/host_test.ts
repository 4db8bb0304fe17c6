import assert from "node:assert/strict";
import { createApp } from "../../src/api/app.ts";
import { serveHealth } from "../../src/setup/health.ts";
import { followTroubles } from "../../src/setup/troubles.ts";
import { freePort } from "../integration/ports.ts";
import { benchLive } from "./fixture.ts";

const KNOWN = ["localhost:8000", "page.localhost", "127.0.0.1:8000", "[::1]:8000", "10.1.2.3"];
const UNKNOWN = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "meters"];

Deno.test("createApp() answers names of the loopback, addresses and names it is told, and no others", async () => {
  const query = Object.assign(() => Promise.resolve([{ one: 1 }]), {});
  const app = createApp({ query, live: benchLive, version: "1", hosts: ["meters.example"] });
  const statusOf = async (host: string, path: string) => {
    const response = await app.request(`http://${host}${path}`);
    await response.body?.cancel();
    return response.status;
  };
  for (const path of ["/", "/healthz", "/page.js"]) {
    for (const host of [...KNOWN, "meters.example", "METERS.example:80"]) {
      assert.equal(await statusOf(host, path), 200, `${host}${path}`);
    }
    for (const host of UNKNOWN) assert.equal(await statusOf(host, path), 421, `${host}${path}`);
  }
});

Deno.test("createApp() takes any name where none is told: an edge runtime knows its own", async () => {
  const query = Object.assign(() => Promise.resolve([{ one: 1 }]), {});
  const app = createApp({ query, live: benchLive, version: "1" });
  const response = await app.request("https://meters.example/healthz");
  await response.body?.cancel();
  assert.equal(response.status, 200);
});

Deno.test("serveHealth() refuses a Host that it is not known by", async () => {
  const port = freePort();
  const health = serveHealth(
    { host: "127.0.0.1", port, hosts: ["probe.example"] },
    { status: () => [], troubles: followTroubles(), stalledMs: 1000 },
  );
  const statusOf = async (host: string) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const request = `GET /readyz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    const answer = new Uint8Array(64);
    await connection.read(answer);
    return new TextDecoder().decode(answer).split(" ")[1];
  };
  try {
    assert.equal(await statusOf("127.0.0.1"), "200");
    assert.equal(await statusOf("probe.example"), "200");
    assert.equal(await statusOf("evil.example"), "421");
  } finally {
    await health.close();
  }
});
