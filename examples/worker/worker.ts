/**
 * Readings judged at the edge: a Hono app, and an object of its own for each meter, which keeps the
 * state of its judge and the gaps as they stand. docs/toolkit.md says how to start it.
 *
 *     POST /readings                 [{"meterId": "M1", "at": "2013-01-01T10:00:00Z", "kwh": 0.2}, …]
 *     GET  /meters/M1/gaps           as they stand now; ?at=2013-01-01T15:00:00Z: as they stood then
 */
import { createJudge, type Judge, type JudgeReading, restoreJudge } from "@gridwatch/gridwatch";
import { Hono } from "hono";

const OPTIONS = { intervalMinutes: 30, scope: "meter" } as const;

/** The part of a Durable Object's storage that is used here. */
type Storage = {
  get(key: "state"): Promise<Uint8Array | undefined>;
  list(options: { prefix: string }): Promise<Map<string, unknown>>;
  transaction(work: (within: { put(key: string, value: unknown): void }) => Promise<void>): Promise<
    void
  >;
};

type Meters = {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(url: string, init?: RequestInit): Promise<Response> };
};

const app = new Hono<{ Bindings: { METERS: Meters } }>();

app.post("/readings", async (c) => {
  const readings: JudgeReading[] = await c.req.json();
  const byMeter = Map.groupBy(readings, ({ meterId }) => String(meterId).trim());
  const answers = await Promise.all([...byMeter].map(async ([id, its]) => {
    const meter = c.env.METERS.get(c.env.METERS.idFromName(id));
    const body = JSON.stringify(its);
    return [id, await (await meter.fetch("http://meter/", { method: "POST", body })).json()];
  }));
  return c.json(Object.fromEntries(answers));
});

app.get("/meters/:id/gaps", async (c) => {
  const meter = c.env.METERS.get(c.env.METERS.idFromName(c.req.param("id")));
  const at = c.req.query("at") ?? new Date().toISOString();
  const answer = await meter.fetch(`http://meter/?at=${encodeURIComponent(at)}`);
  return c.json(await answer.json());
});

/** One meter. What is said and the state that said it are kept in one transaction, or neither. */
export class Meter {
  readonly #storage: Storage;

  constructor({ storage }: { readonly storage: Storage }) {
    this.#storage = storage;
  }

  async fetch(request: Request): Promise<Response> {
    const at = new URL(request.url).searchParams.get("at");
    // Read before the state is: another request may come in while a body is on its way.
    const readings: JudgeReading[] = at === null ? await request.json() : [];
    const saved = await this.#storage.get("state");
    const judge = saved === undefined ? createJudge(OPTIONS) : restoreJudge(saved, OPTIONS);
    for (const reading of readings) judge.reading(reading);
    if (at !== null) judge.tick(at);
    const said = await this.#keep(judge);
    if (at === null) return Response.json(said);
    return Response.json([...(await this.#storage.list({ prefix: "gap " })).values()]);
  }

  /** Keeps the state and the gaps; gives what became of the readings. */
  async #keep(judge: Judge) {
    const { accepted, gaps, tooLate, rejected } = judge.take();
    const state = judge.save();
    await this.#storage.transaction((within) => {
      within.put("state", state);
      for (const gap of gaps) within.put(`gap ${gap.gap_id}`, gap);
      return Promise.resolve();
    });
    return { accepted: accepted.length, too_late: tooLate.length, rejected };
  }
}

export default app;
