import { DISPOSITIONS, emptyLedger, type Ledger, sumLedgers } from "../core/ledger.ts";
import { type Difference, findDifferences, type Reader } from "./summary.ts";

/** What the topics say of one partition, as `verify --kafka` has recomputed it. */
export type ExpectedPartition = { readonly partition: number; readonly ledger: Ledger | null };

/** The tables of a database against what the topics say. */
export type DatabaseVerified = {
  readonly ledger: Ledger;
  readonly differences: readonly Difference[];
  /** Messages that became no row and are kept in `sink_errors`. */
  readonly refused: number;
};

/**
 * Checks the tables that a sink has written: rows against the ledger beside them, and that ledger
 * against the topics'. `expected` null: against themselves alone.
 *
 * While a sink is running they are those of an earlier commit; it is not behind when this is to be 0.
 */
export async function verifyDatabase(
  reader: Reader,
  expected: readonly ExpectedPartition[] | null,
): Promise<DatabaseVerified> {
  // Offsets have holes on Kafka: a position is not a count of records there.
  const differences = (await findDifferences(reader)).filter(({ what }) => what !== "position");
  const ledgers = await readLedgers(reader);
  for (const { partition, ledger } of expected ?? []) {
    const found = ledgers.get(partition) ?? emptyLedger();
    const wanted = ledger ?? emptyLedger();
    for (const what of ["raw", ...DISPOSITIONS] as const) {
      if (found[what] === wanted[what]) continue;
      differences.push({
        partition,
        what: `${what}, topics against tables`,
        ledger: wanted[what],
        found: found[what],
      });
    }
  }
  differences.push(...await findDays(reader));
  const { rows: [{ refused }] } = await reader.query("SELECT count(*) AS refused FROM sink_errors");
  return { ledger: sumLedgers(ledgers.values()), differences, refused: Number(refused) };
}

async function readLedgers(reader: Reader): Promise<Map<number, Ledger>> {
  const { rows } = await reader.query("SELECT * FROM ledger");
  return new Map(rows.map((row) => {
    const ledger = emptyLedger();
    for (const name of ["raw", ...DISPOSITIONS] as const) ledger[name] = Number(row[name]);
    return [Number(row.partition), ledger];
  }));
}

/** The fleet's days against the ledger that counts the same readings. */
async function findDays(reader: Reader): Promise<Difference[]> {
  const { rows } = await reader.query(
    `SELECT partition, coalesce(l.ok + l.late, 0) AS ledger, coalesce(d.readings, 0) AS found
     FROM ledger l FULL JOIN (
       SELECT source_partition AS partition, sum(readings) AS readings
       FROM readings_fleet_daily GROUP BY 1
     ) AS d USING (partition)
     WHERE coalesce(l.ok + l.late, 0) <> coalesce(d.readings, 0)`,
  );
  return rows.map((row) => ({
    partition: Number(row.partition),
    what: "readings by day",
    ledger: Number(row.ledger),
    found: Number(row.found),
  }));
}
