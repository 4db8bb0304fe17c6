/** The second stage on a real database: halves of an outage that are written at the same time. */
import assert from "node:assert/strict";
import { PostgresDatabase } from "../../src/adapters/postgres/database.ts";
import { migrateDatabase, openForSchema } from "../../src/adapters/postgres/migrate.ts";
import { PostgresSink } from "../../src/adapters/postgres/sink.ts";
import { emptyLedger } from "../../src/core/ledger.ts";
import type { GapState } from "../../src/core/outputs.ts";
import { JsonWriter } from "../../src/core/wire/output_json.ts";
import type { SinkCommit, SinkKind } from "../../src/engine/sink/ports.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { type Postgres, rowsOf, startPostgres } from "./postgres_harness.ts";
import { serverTests } from "./servers.ts";
import { runOfMessages, TOPIC_ID } from "./sink_commits.ts";

const { serverTest, beforeAll } = await serverTests("postgres");
let server: Postgres;

beforeAll(async () => {
  server = await startPostgres();
});

Deno.test.afterAll(async () => {
  await server?.stop(); // undefined when it did not start
});

const SLOT_MS = 1_800_000;
const START_MS = Date.UTC(2024, 0, 1);
const KINDS: readonly SinkKind[] = ["validated", "gap"];
const ROUNDS = 12;

async function withSinks(
  work: (sinks: readonly PostgresSink[], url: string) => Promise<void>,
): Promise<void> {
  const url = await server.createDatabase();
  const schema = openForSchema(url);
  await migrateDatabase(schema, { chunkDays: 7, columnstoreAfterDays: 0, retentionDays: 0 })
    .finally(() => schema.close());
  const databases = [0, 1].map(() =>
    new PostgresDatabase(url, { connections: 1, name: "t", statementMsMax: 0 })
  );
  try {
    const sinks = databases.map((database) =>
      new PostgresSink(database, {
        answerMsMax: 60_000,
        gapGraceMs: 900_000,
        stateTtlMs: 604_800_000,
      })
    );
    for (const [partition, sink] of sinks.entries()) {
      await sink.load(KINDS.map((topic) => ({ topic, topicId: TOPIC_ID, partition, offset: 0 })));
    }
    await work(sinks, url);
  } finally {
    for (const database of databases) await database.close();
  }
}

/** Commit `n` of a partition: a reading and a gap of each of its meters. */
function commitOf(
  n: number,
  partition: number,
  { meters, gapMs, state }: {
    readonly meters: readonly string[];
    readonly gapMs: number;
    readonly state: GapState;
  },
): SinkCommit {
  const runs = KINDS.map((kind) => {
    const writer = new JsonWriter(64);
    const origins = meters.map((meterId, at) => {
      const offset = n * 10 + at;
      if (kind === "validated") {
        writer.validated({
          ...{ offset, meterId, timestampMs: gapMs - SLOT_MS, consumptionKwh: 1 },
          ...{ status: "OK", flags: [], delayMs: 0 },
        });
      } else {
        writer.gap({
          ...{ offset, meterId, idMs: gapMs, missingFromMs: gapMs, missingToMs: gapMs + SLOT_MS },
          ...{ missingIntervals: 1, rejectedIntervals: 0, state, detectedAtMs: gapMs + SLOT_MS },
        });
      }
      return offset;
    });
    return runOfMessages(writer, origins, { kind, partition, n });
  });
  return {
    ...{ partition, runs },
    moves: runs.map(({ kind: topic, batch: { nextOffset: to, count: messages } }) => ({
      ...{ topic, partition, from: n * 100, to, messages },
    })),
    account: {
      nextOffset: (n + 1) * 10,
      watermarkMs: gapMs + SLOT_MS,
      ledger: { ...emptyLedger(), raw: n + 1, ok: n + 1 },
    },
  };
}

serverTest(
  "two sinks that write half of an outage each at the same time find it, every time",
  async () => {
    await withSinks(async (sinks, url) => {
      const meters = [["A1", "A2"], ["B1", "B2", "B3"]];
      const slotOf = (n: number) => START_MS + n * 10 * SLOT_MS;
      const said: string[] = [];
      for (let n = 0; n < ROUNDS; n++) {
        const commits = await Promise.all(sinks.map((sink, partition) =>
          sink.commit(
            commitOf(n, partition, {
              meters: meters[partition],
              gapMs: slotOf(n),
              state: "CLOSED",
            }),
          )
        ));
        for (const { incidents } of commits) {
          said.push(...incidents.map(({ change, meters }) => `${change} ${meters}`));
        }
      }
      const rows = await rowsOf(url, "SELECT * FROM incidents ORDER BY slot_ms");
      assert.deepEqual(
        rows.map(({ incident_id, state, meters, needed }) => [incident_id, state, meters, needed]),
        Array.from({ length: ROUNDS }, (_, n) => {
          const at = new Date(slotOf(n)).toISOString().replace(".000Z", "Z");
          return [`fleet@${at}`, "CLOSED", 5, 3];
        }),
      );
      assert.ok(said.filter((each) => each === "closed 5").length >= 1, said.join(", "));
      const members = await rowsOf(url, "SELECT count(*)::int AS n FROM incident_meters");
      assert.equal(members[0].n, 5 * ROUNDS);
      const carried = await rowsOf(
        url,
        "SELECT count(*)::int AS n FROM gap_status WHERE incident_id IS NOT NULL",
      );
      assert.equal(carried[0].n, 5 * ROUNDS);
    });
  },
);

serverTest(
  "an incident opens with the gap that makes it one, and closes with those that end it",
  async () => {
    await withSinks(async ([sink], url) => {
      const changes: string[] = [];
      const write = async (n: number, meters: readonly string[], state: GapState) => {
        const { incidents } = await sink.commit(commitOf(n, 0, { meters, gapMs: START_MS, state }));
        changes.push(incidents.map(({ change, meters }) => `${change} ${meters}`).join(" "));
      };
      await write(0, ["M1", "M2"], "OPEN");
      await write(1, ["M3"], "OPEN");
      await write(2, ["M4", "M5"], "OPEN");
      await write(3, ["M6"], "OPEN");
      await write(4, ["M1", "M2", "M3"], "CLOSED");
      await write(5, ["M4"], "CLOSED");
      assert.deepEqual(changes, ["", "opened 3", "", "grew 6", "", "closed 6"]);
      const [row] = await rowsOf(url, 'SELECT "from", "to", state FROM incidents');
      assert.deepEqual([row.from, row.to, row.state], [
        new Date(START_MS),
        new Date(START_MS + SLOT_MS),
        "CLOSED",
      ]);
      await write(6, ["M1", "M2", "M3", "M4"], "FILLED");
      assert.equal(changes.at(-1), "withdrawn 6");
      const rows = await rowsOf(url, "SELECT state, meters FROM incidents");
      assert.deepEqual(rows, [{ state: "WITHDRAWN", meters: 6 }]);
    });
  },
);

serverTest("run finds the same incidents in a database as in the embedded store", async () => {
  await inFolder(async (folder) => {
    const lines = ["meter_id,timestamp,consumption_kwh"];
    for (let slot = 0; slot < 48 * 8; slot++) {
      const time = new Date(START_MS + slot * SLOT_MS).toISOString();
      for (let meter = 0; meter < 12; meter++) {
        const isOut = [60, 200, 201].includes(slot) && meter % 3 === 0;
        const isLost = (slot * 7 + meter * 13) % 157 === 0;
        if (!isOut && !isLost) lines.push(`M${meter},${time},0.${1 + slot % 7}`);
      }
    }
    const csv = `${folder}/fleet.csv`;
    await Deno.writeTextFile(csv, `${lines.join("\n")}\n`);
    const url = await server.createDatabase();
    const sql =
      'SELECT incident_id, "from", "to", state, meters, expected, needed FROM incidents ' +
      "ORDER BY incident_id";
    for (const place of [["--data", `${folder}/store`], ["--database", url]]) {
      const run = await gridwatch("run", csv, "--exit", "--quiet", "--partitions", "3", ...place);
      assert.equal(run.code, 0, run.stderr);
    }
    const { stdout } = await gridwatch("query", sql, "--json", "--data", `${folder}/store`);
    const timeOf = (value: unknown) =>
      value === null ? null : new Date(String(value)).toISOString();
    const rows = (await rowsOf(url, sql)).map((row) => ({
      ...row,
      from: timeOf(row.from),
      to: timeOf(row.to),
    }));
    const embedded: Record<string, unknown>[] = JSON.parse(stdout);
    assert.deepEqual(
      rows,
      embedded.map((row) => ({ ...row, from: timeOf(row.from), to: timeOf(row.to) })),
    );
    const [first] = rows as Record<string, unknown>[];
    assert.deepEqual([first.incident_id, first.meters, first.expected, first.needed], [
      ...["fleet@2024-01-02T06:00:00Z", 4, 12, 3],
    ]);
  });
});
