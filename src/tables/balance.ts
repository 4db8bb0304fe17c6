import { DISPOSITIONS, emptyLedger, type Ledger, ledgerDifference } from "../core/ledger.ts";
import type { GapState } from "../core/outputs.ts";
import type { Dialect } from "./dialect.ts";
import { dialectOf } from "./query.ts";

/** The part of a database client that reading needs. */
export type Reader = {
  /** What it speaks; PostgreSQL's unless it says. */
  readonly dialect?: Dialect;
  query(sql: string, params?: readonly unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
};

/** Gaps of one state, and the slots missing in them. */
export type GapCount = { gaps: number; missing_intervals: number };

/** What a store holds: the ledger's sum, how many meters, and the gaps as they stand. */
export type Summary = {
  readonly ledger: Ledger;
  readonly meters: number;
  readonly gaps: Record<GapState, GapCount>;
};

/** Reads what a store holds. */
export async function readSummary(reader: Reader): Promise<Summary> {
  const [{ rows: [{ meters }] }, { rows }] = [
    await reader.query(dialectOf(reader).countMeters),
    await reader.query(
      "SELECT state, count(*) AS gaps, sum(missing_intervals) AS missing FROM gap_alerts " +
        "GROUP BY state",
    ),
  ];
  const gaps: Record<string, GapCount> = {};
  for (const state of ["CLOSED", "OPEN", "EXPIRED", "FILLED"]) {
    const row = rows.find((r) => r.state === state);
    gaps[state] = { gaps: Number(row?.gaps ?? 0), missing_intervals: Number(row?.missing ?? 0) };
  }
  return { ledger: await readLedger(reader), meters: Number(meters), gaps };
}

/** Of a store's readings, or of its intervals: from this share on, more is wrong than readings. */
const SUSPECT_SHARE = 0.3;

/** How many accepted readings lie off their slots, or where they are few, at most. */
export async function countShifted(reader: Reader, { ledger }: Summary): Promise<number> {
  const { rows: [{ flagged }] } = await reader.query(
    "SELECT coalesce(sum(flagged_readings), 0) AS flagged FROM readings_meter_daily",
  );
  // Readings of any flag, by their days: all readings are read through only where these are many.
  if (!(Number(flagged) > (ledger.ok + ledger.late) * SUSPECT_SHARE)) return Number(flagged);
  const { rows: [{ n }] } = await reader.query(
    `SELECT count(*) AS n FROM validated_readings WHERE ${dialectOf(reader).hasFlag("TIME_SHIFT")}`,
  );
  return Number(n);
}

/** What a person should look into: so much is wrong that it may be the settings. */
export function suspicions({ ledger, gaps }: Summary, shifted: number): string[] {
  const { tick, rejected, duplicate, too_late } = ledger;
  const readings = ledger.raw - tick;
  if (readings === 0) return [];
  if (rejected === readings) {
    return [
      "warning: every row was rejected",
      'hint: gridwatch query "SELECT reason, detail, raw FROM rejected_readings LIMIT 10"',
    ];
  }
  const accepted = ledger.ok + ledger.late;
  const missing = gaps.CLOSED.missing_intervals;
  const isOff = duplicate > readings * SUSPECT_SHARE || shifted > accepted * SUSPECT_SHARE ||
    missing > (accepted + missing) * SUSPECT_SHARE;
  if (!isOff || too_late > readings * SUSPECT_SHARE) return [];
  return [
    "warning: very many readings are missing, twice there or off their slots: do they come as " +
    "often as expected_interval_minutes says?",
    "hint: GRIDWATCH_EXPECTED_INTERVAL_MINUTES=auto, or =60, =15, …, and --data DIR for a new store",
  ];
}

/** The sum of all partitions' ledgers. */
export async function readLedger(reader: Reader): Promise<Ledger> {
  const columns = ["raw", ...DISPOSITIONS].map((name) => `sum(${name}) AS ${name}`).join(", ");
  const { rows: [row] } = await reader.query(`SELECT ${columns} FROM ledger`);
  const ledger = emptyLedger();
  ledger.raw = Number(row.raw);
  for (const disposition of DISPOSITIONS) ledger[disposition] = Number(row[disposition]);
  return ledger;
}

/** One thing that does not add up. */
export type Difference = {
  readonly partition: number;
  readonly what: string;
  readonly ledger: number;
  readonly found: number;
};

const COUNTS = `
SELECT source_partition AS partition, 'ok' AS what, count(*) AS found
  FROM validated_readings WHERE status = 'OK' GROUP BY 1
UNION ALL SELECT source_partition, 'late', count(*)
  FROM validated_readings WHERE status = 'LATE' GROUP BY 1
UNION ALL SELECT source_partition, 'too_late', count(*) FROM late_events GROUP BY 1
UNION ALL SELECT source_partition, 'duplicate', count(*) FROM rejected_readings
  WHERE reason IN ('DUPLICATE', 'CONFLICT') GROUP BY 1
UNION ALL SELECT source_partition, 'rejected', count(*) FROM rejected_readings
  WHERE reason NOT IN ('DUPLICATE', 'CONFLICT') GROUP BY 1`;

/**
 * Recomputes the ledger from the rows: every raw record has one disposition, every disposition its
 * row, every row its own raw record. Empty: it balances.
 */
export async function findDifferences(reader: Reader): Promise<Difference[]> {
  const differences: Difference[] = [];
  const { rows: counts } = await reader.query(COUNTS);
  const { rows: ledgers } = await reader.query(
    "SELECT l.*, p.next_offset FROM ledger l FULL JOIN positions p USING (partition)",
  );
  const known = new Set(ledgers.map((row) => Number(row.partition)));
  for (const { partition, what, found } of counts) {
    if (known.has(Number(partition))) continue;
    differences.push({
      partition: Number(partition),
      what: String(what),
      ledger: 0,
      found: Number(found),
    });
  }
  for (const row of ledgers) {
    const partition = Number(row.partition);
    const ledger = { raw: Number(row.raw) } as Ledger;
    for (const disposition of DISPOSITIONS) ledger[disposition] = Number(row[disposition]);
    for (const what of ["ok", "late", "too_late", "duplicate", "rejected"] as const) {
      const count = counts.find((c) => Number(c.partition) === partition && c.what === what);
      const found = Number(count?.found ?? 0);
      if (found !== ledger[what]) {
        differences.push({ partition, what, ledger: ledger[what], found });
      }
    }
    const sum = ledger.raw - ledgerDifference(ledger);
    if (sum !== ledger.raw) {
      differences.push({ partition, what: "sum", ledger: ledger.raw, found: sum });
    }
    const position = Number(row.next_offset);
    if (position !== ledger.raw) {
      differences.push({ partition, what: "position", ledger: ledger.raw, found: position });
    }
  }
  differences.push(...await findSharedOffsets(reader));
  return differences;
}

/** Raw records that more than one row claims. */
async function findSharedOffsets(reader: Reader): Promise<Difference[]> {
  const { rows } = await reader.query(`
    SELECT partition, count(*) AS rows, count(DISTINCT source_offset) AS offsets FROM (
      SELECT source_partition AS partition, source_offset FROM validated_readings
      UNION ALL SELECT source_partition, source_offset FROM late_events
      UNION ALL SELECT source_partition, source_offset FROM rejected_readings
    ) AS claims GROUP BY partition HAVING count(*) <> count(DISTINCT source_offset)`);
  return rows.map((row) => ({
    partition: Number(row.partition),
    what: "raw records with a row",
    ledger: Number(row.rows),
    found: Number(row.offsets),
  }));
}
