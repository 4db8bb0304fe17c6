/**
 * The status API under Node. It asks its questions of whoever started it: a line with a statement goes
 * out, a line with its rows comes in; and so do the requests to the app, and its answers.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { createApp } from "../../src/api/app.ts";
import { SQLITE } from "../../src/tables/dialect.ts";
import type { Row } from "../../src/tables/query.ts";
import { EDGE } from "./edge_app.ts";

/** What comes in. */
export type ToNode =
  | { readonly path: string }
  | { readonly id: number; readonly rows: Row[] };

/** What goes out. */
export type FromNode =
  | { readonly status: number; readonly text: string }
  | { readonly id: number; readonly sql: string; readonly params: readonly unknown[] };

const say = (line: FromNode) => process.stdout.write(`${JSON.stringify(line)}\n`);
const waiting = new Map<number, (rows: Row[]) => void>();
let nextId = 1;

const query = (sql: string, params: unknown[] = []) =>
  new Promise<Row[]>((resolve) => {
    waiting.set(nextId, resolve);
    say({ id: nextId++, sql, params });
  });

const app = createApp({
  query: Object.assign(query, { dialect: SQLITE }),
  version: EDGE.version,
  live: () => EDGE.live,
  nowMs: () => EDGE.nowMs,
});

async function serve(path: string): Promise<void> {
  const response = await app.fetch(new Request(`http://node${path}`));
  say({ status: response.status, text: await response.text() });
}

for await (const line of createInterface({ input: process.stdin })) {
  const message: ToNode = JSON.parse(line);
  if ("path" in message) serve(message.path);
  else waiting.get(message.id)?.(message.rows);
}
