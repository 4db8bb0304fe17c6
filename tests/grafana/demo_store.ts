import { openReader } from "../../src/adapters/sqlite/store.ts";
import { TestPostgres } from "../pglite.ts";

const CLI = new URL("../../cli.ts", import.meta.url);
const DAY_MS = 86_400_000;

/** The demo's tables, and what only a sink writes, in a PGlite. */
export type DemoStore = AsyncDisposable & {
  readonly client: TestPostgres;
  /** The newest data's time, epoch milliseconds. */
  readonly newestMs: number;
  /** A meter with gaps, late, too-late and rejected readings in the last 28 days of data. */
  readonly meterId: string;
};

/** Plays the demo into a temporary folder, in a process of its own, and copies it into a PostgreSQL. */
export async function openDemo(): Promise<DemoStore> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-grafana-" });
  const permissions = ["read", "write", "net", "env", "sys"].map((name) => `--allow-${name}`);
  const demo = ["demo", "--exit", "--quiet", "--rate", "max", "--data", folder];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", ...permissions, CLI.href, ...demo],
  }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  const client = await TestPostgres.open();
  const store = await openReader(folder);
  await client.copyFrom(store);
  await store.close();
  await Deno.remove(folder, { recursive: true });
  await client.script(`
    INSERT INTO sink_positions (topic, partition, next_offset)
      VALUES ('smartmeter_validated', 0, 283670);
    INSERT INTO sink_errors (topic, partition, "offset", error, sqlstate, value)
      VALUES ('smartmeter_validated', 0, 7, 'value out of range', '22003', '{}');
    INSERT INTO raw_ends VALUES (0, 283670, 283670, 0, 283670, 0, now(), now());`);
  const newestMs = Number(await only(client, "SELECT max(watermark) FROM positions"));
  const meterId = String(await only(client, METER, [new Date(newestMs - 28 * DAY_MS)]));
  return {
    client,
    newestMs,
    meterId,
    [Symbol.asyncDispose]: () => client.close(),
  };
}

const METER = `SELECT meter_id FROM late_events l
  WHERE event_timestamp >= $1
    AND EXISTS (SELECT FROM rejected_readings r WHERE r.meter_id = l.meter_id AND r.time >= $1)
    AND EXISTS (SELECT FROM validated_readings v
                WHERE v.meter_id = l.meter_id AND v.time >= $1 AND v.status = 'LATE')
  ORDER BY meter_id LIMIT 1`;

async function only(client: TestPostgres, sql: string, params: unknown[] = []): Promise<unknown> {
  const { rows: [row], columns: [column] } = await client.query(sql, params);
  const value = row?.[column];
  return value instanceof Date ? value.getTime() : value;
}

/** Columns and rows of a query; an error has the query with it. */
export async function ask(client: TestPostgres, sql: string) {
  try {
    return await client.query(sql);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Error(`${error.message} in\n${sql}`, { cause: error });
  }
}
