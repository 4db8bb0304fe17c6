/**
 * Runs workers in workerd, by miniflare. A process of its own, with a lock file of its own: see
 * packages.ts. The first line is miniflare's options.
 */
import process from "node:process";
import type { Readable } from "node:stream";
import { host } from "./host.ts";
import { MINIFLARE } from "./packages.ts";

type D1 = {
  prepare(sql: string): { bind(...values: unknown[]): unknown };
  batch(statements: unknown[]): Promise<unknown>;
};

type Miniflare = {
  readonly ready: Promise<URL>;
  dispatchFetch(url: string, init: Record<string, unknown>): Promise<Response>;
  getD1Database(name: string): Promise<D1>;
  dispose(): Promise<void>;
};

/** What the worker is asked; or statements that its database DB runs, all or none. */
export type WorkerdRequest =
  | { readonly path: string; readonly method?: string; readonly body?: string }
  | { readonly d1: readonly { readonly sql: string; readonly values: readonly unknown[] }[] };

/** What the worker answers. */
export type WorkerdAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
};

async function answer(worker: Miniflare, request: WorkerdRequest): Promise<WorkerdAnswer | null> {
  if ("d1" in request) {
    const database = await worker.getD1Database("DB");
    await database.batch(
      request.d1.map(({ sql, values }) => database.prepare(sql).bind(...values)),
    );
    return null;
  }
  const { path, method = "GET", body } = request;
  const response = await worker.dispatchFetch(`http://worker${path}`, { method, body });
  const headers = Object.fromEntries(response.headers);
  return { status: response.status, headers, text: await response.text() };
}

/** What a worker prints is no answer. */
function handleRuntimeStdio(stdout: Readable, stderr: Readable): void {
  stdout.resume();
  stderr.pipe(process.stderr);
}

if (import.meta.main) {
  await host(async (options: Record<string, unknown>) => {
    const { Miniflare } = await import(MINIFLARE);
    const worker: Miniflare = new Miniflare({ ...options, handleRuntimeStdio });
    await worker.ready;
    return {
      answer: (request: WorkerdRequest) => answer(worker, request),
      close: () => worker.dispose(),
    };
  });
}
