/** A PostgreSQL for tests that needs no server: PGlite, in memory. */
import { PGlite } from "@electric-sql/pglite";
import type { Migration, MigrationClient } from "../src/tables/migrations.ts";
import { migrate } from "../src/tables/migrations.ts";
import { POSTGRES } from "../src/tables/dialect.ts";
import { followGaps, stageInput } from "../src/tables/incident_stage.ts";
import { outputRows, UPSERTS } from "../src/tables/output_rows.ts";
import { readOutputs } from "./golden/tables.ts";

type Row = Record<string, unknown>;

/** Tables to read, on whichever database. */
type Tables = { query(sql: string, params?: readonly unknown[]): Promise<{ rows: Row[] }> };

/** That of the embedded store's commits, see `Commit.stateTtlMs`. */
export const SILENT_AFTER_MS = 7 * 86_400_000;

/** PGlite with the ways of a client. */
export class TestPostgres implements MigrationClient {
  readonly #pg = new PGlite("memory://");

  /** A database of our tables, or of those of earlier migrations. */
  static async open(migrations?: readonly Migration[]): Promise<TestPostgres> {
    const client = new TestPostgres();
    await client.script("SET TIME ZONE 'UTC'");
    await migrate(client, migrations);
    return client;
  }

  async query(
    sql: string,
    params: readonly unknown[] = [],
  ): Promise<{ columns: string[]; rows: Row[] }> {
    const { fields, rows } = await this.#pg.query<Row>(sql, [...params]);
    return { columns: fields.map(({ name }) => name), rows };
  }

  async script(sql: string): Promise<void> {
    await this.#pg.exec(sql);
  }

  /** Takes all that an embedded store has said of its partitions. */
  async copyFrom(store: Tables): Promise<void> {
    const { rows: partitions } = await store.query(
      "SELECT * FROM ledger JOIN positions USING (partition) ORDER BY partition",
    );
    for (const row of partitions) {
      const outputs = await readOutputs(store, Number(row.partition));
      for (const { table, columns, bytes } of outputRows(outputs, Number(row.partition))) {
        const upsert = UPSERTS[table];
        const target = upsert === undefined ? table : `${table}_stage`;
        if (upsert !== undefined) {
          await this.script(`CREATE TEMPORARY TABLE ${target} (LIKE ${table})`);
        }
        await this.#pg.query(
          `COPY ${target} (${columns.join(", ")}) FROM '/dev/blob' (FORMAT binary)`,
          [],
          { blob: new Blob([bytes]) },
        );
        if (upsert !== undefined) await this.script(`${upsert}; DROP TABLE ${target}`);
      }
      const counts = ["raw", "ok", "late", "too_late", "duplicate", "rejected", "tick"]
        .map((name) => row[name]);
      await this.query("INSERT INTO ledger VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", [
        row.partition,
        ...counts,
      ]);
      await this.query("INSERT INTO positions VALUES ($1, $2, $3, $4)", [
        ...[row.partition, row.next_offset, row.watermark, row.judged_to],
      ]);
    }
    for (const { partition } of partitions) {
      const outputs = await readOutputs(store, Number(partition));
      const input = { partition: Number(partition), silentAfterMs: SILENT_AFTER_MS };
      const stage = followGaps(stageInput(outputs, input), POSTGRES);
      for (let step = stage.next([]); !step.done;) {
        step = stage.next((await this.query(step.value.sql, step.value.params)).rows);
      }
    }
  }

  async close(): Promise<void> {
    await this.#pg.close();
  }
}
