/** The status API in other runtimes, over a store that `run` has filled: it answers as it does here. */
import assert from "node:assert/strict";
import { createApp } from "../../src/api/app.ts";
import type { StoreReader } from "../../src/adapters/sqlite/reader.ts";
import { openStoreReader } from "../../src/setup/store.ts";
import { queryOf } from "../../src/tables/query.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { EDGE } from "./edge_app.ts";
import type { FromNode } from "./node_app.ts";
import { bundle, openNode, openWorkerd, runtimeTest, type Workerd } from "./runtimes.ts";

const PATHS = [
  "/",
  "/page.js",
  "/favicon.svg",
  "/nowhere",
  "/healthz",
  "/readyz",
  "/metrics",
  "/api/status",
  "/api/ledger",
  "/api/meters",
  "/api/meters?limit=2&offset=1&sort=missing",
  "/api/gaps",
  "/api/gaps?state=CLOSED&limit=3",
  "/api/late",
  "/api/late?status=LATE",
  "/api/rejected",
  "/api/rejected?reason=DUPLICATE",
  "/api/delays",
  "/api/timeline",
  "/api/nowhere",
  "/api/gaps?limit=many",
];

type Answer = { readonly status: number; readonly text: string };

/** A filled store, and how the app answers over it in this process. */
async function withStore(
  work: (
    store: StoreReader,
    folder: string,
    expected: ReadonlyMap<string, Answer>,
  ) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const fleet = `${folder}/fleet.csv`;
    const data = `${folder}/store`;
    const size = ["--meters", "12", "--days", "4"];
    assert.equal((await gridwatch("generate", "--output", fleet, ...size, "--quiet")).code, 0);
    assert.equal((await gridwatch("run", fleet, "--data", data, "--exit", "--quiet")).code, 0);
    const store = await openStoreReader(data);
    try {
      const app = createApp({
        query: queryOf(store),
        version: EDGE.version,
        live: () => EDGE.live,
        nowMs: () => EDGE.nowMs,
      });
      const meters = await (await app.request("/api/meters?limit=1")).json();
      const id = encodeURIComponent(meters.meters[0].meter_id);
      const expected = new Map<string, Answer>();
      for (const path of [...PATHS, `/api/meters/${id}`]) {
        const response = await app.request(path);
        expected.set(path, { status: response.status, text: await response.text() });
      }
      const statuses = new Set([...expected.values()].map(({ status }) => status));
      assert.deepEqual([...statuses].sort(), [200, 400, 404]);
      assert.match(expected.get("/api/status")!.text, /"balanced":true/);
      await work(store, folder, expected);
    } finally {
      await store.close();
    }
  });
}

/** Tables that hold bytes: the pipeline's own, of which nothing is asked. */
const STATE_TABLES = ["task_state", "state_changelog"];

/** Copies a store's tables, views and rows into the database of a worker. */
async function copyInto(worker: Workerd, store: StoreReader): Promise<void> {
  const { rows: schema } = await store.query(
    `SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'
     ORDER BY type = 'view', type = 'index', rowid`,
  );
  await worker.ask({ d1: schema.map(({ sql }) => ({ sql: String(sql), values: [] })) });
  for (const { type, name } of schema) {
    if (type !== "table" || STATE_TABLES.includes(String(name))) continue;
    const { columns, rows } = await store.query(`SELECT * FROM ${name}`);
    const places = columns.map((_, at) => `?${at + 1}`).join(", ");
    const sql = `INSERT INTO ${name} VALUES (${places})`;
    if (rows.length === 0) continue;
    await worker.ask({
      d1: rows.map((row) => ({ sql, values: columns.map((column) => row[column]) })),
    });
  }
}

await runtimeTest(
  ["workerd"],
  "createApp() answers in workerd, over D1, as it does here over the store that run has filled",
  () =>
    withStore(async (store, _folder, expected) => {
      await using worker = await openWorkerd(
        await bundle("tests/runtimes/worker_app.ts"),
        { d1Databases: ["DB"] },
      );
      await copyInto(worker, store);
      for (const [path, answer] of expected) {
        const { status, text } = await worker.ask({ path });
        assert.deepEqual({ status, text }, answer, path);
      }
    }),
);

await runtimeTest(
  ["node"],
  "createApp() answers under Node as it does here",
  () =>
    withStore(async (store, folder, expected) => {
      await using node = await openNode(await bundle("tests/runtimes/node_app.ts"), folder);
      for (const [path, answer] of expected) {
        await node.send({ path });
        let said = await node.next<FromNode>();
        while ("sql" in said) {
          const { rows } = await store.query(said.sql, said.params);
          await node.send({ id: said.id, rows });
          said = await node.next<FromNode>();
        }
        assert.deepEqual(said, answer, path);
      }
    }),
);
