import assert from "node:assert/strict";
import { until } from "./kafka_broker.ts";
import { type Pipeline, terminate } from "./pipeline.ts";

const PATHS = [
  ...["ledger", "meters?limit=500", "gaps?limit=500", "gaps?state=CLOSED", "late?limit=500"],
  ...[
    "late?status=LATE",
    "rejected?limit=500",
    "rejected?reason=DUPLICATE",
    "delays",
    "timeline",
  ],
];
/** Tells of the serving process, not of what is served. */
const OF_THE_PROCESS = ["tables_checked_at", "next_offset"];

type Answer = { readonly status: number; readonly body: unknown };

/** Every list of the status API is the same over a database as over the embedded store. */
export async function assertServedAlike(
  pipeline: Pipeline,
  { url, directory }: { url: string; directory: string },
): Promise<void> {
  const embedded = await answersOf(pipeline, ["--data", directory]);
  const database = await answersOf(pipeline, ["--database", url]);
  assert.ok(Object.keys(embedded).length > PATHS.length);
  for (const [path, expected] of Object.entries(embedded)) {
    assert.equal(expected.status, 200, path);
    assert.deepEqual(database[path], expected, path);
  }
}

async function answersOf(
  pipeline: Pipeline,
  of: readonly string[],
): Promise<Record<string, Answer>> {
  const served = pipeline.start("serve", ...of, "--port", "0");
  try {
    const base = () => /^page: (http:\S+)/m.exec(served.stderr)?.[1];
    await until("it serves", () => Promise.resolve(base() !== undefined));
    const meters = await get(`${base()}/api/meters?limit=1`);
    const [{ meter_id }] = (meters.body as { meters: { meter_id: string }[] }).meters;
    const answers: Record<string, Answer> = {};
    for (const path of [...PATHS, `meters/${meter_id}`]) {
      answers[path] = await get(`${base()}/api/${path}`);
    }
    // Last: while a database is served, what took a scan is told as it was last seen.
    const { status, body } = await get(`${base()}/api/status`);
    const { ledger, gaps, fleet, event_time } = body as Record<string, unknown>;
    answers.status = { status, body: { ledger, gaps, fleet, event_time } };
    return answers;
  } finally {
    assert.equal((await terminate(served)).code, 0, served.stderr);
  }
}

async function get(url: string): Promise<Answer> {
  const response = await fetch(url);
  return { status: response.status, body: plain(await response.json()) };
}

/** Sums of another order differ in their last digits. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, one) => {
    if (OF_THE_PROCESS.includes(key)) return undefined;
    return typeof one === "number" ? Number(one.toPrecision(12)) : one;
  }));
}
