import type { Sql } from "postgres";

/** What a database is filled with; readings arrive in the order of time, or meter by meter. */
export type FleetShape = {
  readonly meters: number;
  readonly days: number;
  readonly order: "time" | "meter";
};

export const SLOTS_PER_DAY = 48;
const PARTITIONS = 4;
/** The first slot, and a Monday. */
const START = "timestamptz '2012-10-15 00:00:00+00'";
const STEP = "interval '30 minutes'";
const COMMITS_PER_SLOT_MAX = 8;

/** Even 64 bits of a meter and a slot, each use its own: what happens to that reading. */
const hash = (use: number) =>
  `(hashint8extended((s.meter::bigint << 32) + s.slot, ${use}) & 1073741823)`;
const slotTime = (slot: string) => `${START} + ${slot} * ${STEP}`;

/**
 * Fills a migrated database as a pipeline would that judged the fleet: every table says the same of
 * the same readings. Rates are those of `gridwatch generate`: 0.3 % of the slots missing one by one,
 * outages of meters and of a feeder, meters silent to the end, 0.5 % late, 0.1 % too late, 0.4 %
 * rejected.
 */
export async function fillFleet(sql: Sql, shape: FleetShape): Promise<void> {
  for (const statement of statementsOf(shape)) await sql.unsafe(statement);
}

function statementsOf({ meters, days, order }: FleetShape): string[] {
  const slots = Math.floor(days * SLOTS_PER_DAY);
  const commits = Math.min(COMMITS_PER_SLOT_MAX, Math.ceil(meters / 1000));
  return [
    "SET work_mem = '256MB'",
    // Three groups, and one meter in a hundred that has none.
    `CREATE TEMPORARY TABLE meter AS
     SELECT meter, meter % ${PARTITIONS} AS partition,
       CASE WHEN meter % 100 = 99 THEN '' ELSE (ARRAY['MAC', 'MTR', 'NW'])[1 + meter % 3] END
         || lpad(meter::text, 6, '0') AS meter_id
     FROM generate_series(0, ${meters - 1}) AS meter`,
    ...missing(slots),
    ...readings({ slots, order }),
    ...misfits(slots),
    ...accounts({ slots, commits }),
    "DROP TABLE missing, missing_gap, meter",
    "RESET work_mem",
  ];
}

function missing(slots: number): string[] {
  return [
    `CREATE TEMPORARY TABLE missing AS
     SELECT m.meter, slot, m.meter_id, m.partition FROM meter m CROSS JOIN LATERAL (
       SELECT s.slot FROM generate_series(1, ${slots - 2}) AS s (slot)
         WHERE (hashint8extended((m.meter::bigint << 32) + s.slot, 1) & 1073741823) % 1000 < 3
       UNION SELECT o + i FROM generate_series(m.meter * 389 % 6000, ${slots - 40}, 6000) AS o,
         generate_series(1, 12) AS i
       UNION SELECT ${slots >> 1} + i FROM generate_series(1, 8) AS i WHERE m.meter % 10 = 0
       UNION SELECT ${slots} - i FROM generate_series(1, 20 + m.meter % 30) AS i
         WHERE m.meter % 100 = 7
     ) AS of_meter`,
    "CREATE UNIQUE INDEX ON missing (meter, slot)",
    `CREATE TEMPORARY TABLE missing_gap AS
     SELECT meter, meter_id, partition, min(slot) AS first, count(*)::int AS n FROM (
       SELECT *, slot - row_number() OVER (PARTITION BY meter ORDER BY slot) AS island FROM missing
     ) AS islands GROUP BY meter, meter_id, partition, island`,
    `INSERT INTO gap_alerts
     SELECT missing_from, meter_id, missing_from, missing_from + n * ${STEP}, n * 30, n,
       CASE WHEN n = 1 AND meter % 7 = 0 THEN 1 ELSE 0 END,
       CASE WHEN first + n >= ${slots} THEN 'OPEN' ELSE 'CLOSED' END,
       meter_id || '@' || to_char(missing_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       missing_from + interval '45 minutes', partition, first::bigint * 100000 + meter
     FROM (SELECT *, ${slotTime("first")} AS missing_from FROM missing_gap) AS gap
     ORDER BY missing_from, meter`,
  ];
}

function readings({ slots, order }: { slots: number; order: FleetShape["order"] }): string[] {
  const sorted = order === "time" ? "slot, meter" : "meter, slot";
  return [
    `INSERT INTO validated_readings
     SELECT ${slotTime("s.slot")}, meter_id, (${hash(2)} % 3000) / 1000.0,
       CASE WHEN late THEN 'LATE' ELSE 'OK' END,
       CASE WHEN ${hash(4)} % 1000 < 2 THEN ARRAY['TIME_SHIFT'] ELSE '{}' END,
       CASE WHEN late THEN 60 + ${hash(5)} % 172800 END, partition,
       row_number() OVER (ORDER BY ${sorted})
     FROM (
       SELECT s.slot, m.meter, m.meter_id, m.partition,
         (hashint8extended((m.meter::bigint << 32) + s.slot, 3) & 1073741823) % 1000 < 5 AS late
       FROM generate_series(0, ${slots - 1}) AS s (slot) CROSS JOIN meter m
       WHERE NOT EXISTS (SELECT FROM missing x WHERE x.meter = m.meter AND x.slot = s.slot)
     ) AS s ORDER BY ${sorted}`,
    // In the order of its first readings, as a sink writes it.
    `INSERT INTO readings_meter_daily
     SELECT date_bin('1 day', time, timestamptz '2000-01-03 00:00:00+00'), meter_id,
       source_partition, count(*), count(*) FILTER (WHERE status = 'LATE'),
       count(*) FILTER (WHERE flags <> '{}'), sum(consumption_kwh), min(time), max(time)
     FROM validated_readings GROUP BY 1, 2, 3 ORDER BY min(source_offset)`,
  ];
}

function misfits(slots: number): string[] {
  return [
    `INSERT INTO late_events
     SELECT judged_at, meter_id, at, 0.5, extract(epoch FROM judged_at - at), partition,
       row_number() OVER (ORDER BY slot, meter)
     FROM (
       SELECT *, ${slotTime("slot")} AS at,
         ${slotTime("slot")} + interval '3 days' + slot % 1000 * interval '5 minutes' AS judged_at
       FROM missing WHERE (slot * 7 + meter) % 3 = 0 AND slot < ${slots - 400}
     ) AS late ORDER BY judged_at`,
    `INSERT INTO rejected_readings
     SELECT ${slotTime("s.slot")}, reason, reason || ' in this record',
       '{"meter_id":"' || meter_id || '","timestamp":"?","consumption_kwh":"?"}', 'utf8', meter_id,
       ${slotTime("s.slot")}, 0.5, partition, row_number() OVER (ORDER BY slot, meter)
     FROM (
       SELECT s.slot, m.*, (ARRAY['DUPLICATE', 'DUPLICATE', 'CONFLICT', 'NEGATIVE', 'BAD_VALUE',
         'TOO_LARGE'])[1 + (s.slot + m.meter) % 6] AS reason
       FROM generate_series(0, ${slots - 1}) AS s (slot) CROSS JOIN meter m
     ) AS s WHERE ${hash(6)} % 1000 < 4 ORDER BY slot, meter`,
    `INSERT INTO sink_errors (topic, partition, "offset", error, sqlstate, value)
     SELECT 'smartmeter_validated', n % ${PARTITIONS}, n, 'value out of range', '22003', '{}'
     FROM generate_series(1, 100) AS n`,
  ];
}

/** Metrics of each commit, ledger and positions. */
function accounts({ slots, commits }: { slots: number; commits: number }): string[] {
  return [
    `INSERT INTO metrics
     SELECT ${slotTime("slot")} + commit * ${STEP} / ${commits}, type, NULL,
       abs(hashint4(slot * 8 + commit)) % 2000, tags::jsonb, partition,
       (slot * ${commits} + commit)::bigint
     FROM generate_series(0, ${slots - 1}) AS slot, generate_series(0, ${commits - 1}) AS commit,
       generate_series(0, ${PARTITIONS - 1}) AS partition,
       (VALUES ('event_processed', '{"status":"OK"}'), ('event_processed', '{"status":"LATE"}'),
         ('too_late_event', '{}'), ('duplicate_event', '{}'), ('gap_detected', '{}'),
         ('invalid_event', '{"error":"NEGATIVE"}'), ('watermark_lag_seconds', '{}'),
         ('consumer_lag_records', '{}'), ('commit_duration_ms', '{}')) AS kinds (type, tags)
     ORDER BY slot, commit, partition`,
    `INSERT INTO ledger (partition, raw, ok, late, too_late, duplicate, rejected, tick)
     SELECT partition, ok + late + too_late + duplicate + rejected, ok, late, too_late, duplicate,
       rejected, 0
     FROM (
       SELECT partition,
         (SELECT sum(readings - late_readings) FROM readings_fleet_daily
          WHERE source_partition = partition) AS ok,
         (SELECT sum(late_readings) FROM readings_fleet_daily
          WHERE source_partition = partition) AS late,
         (SELECT count(*) FROM late_events WHERE source_partition = partition) AS too_late,
         (SELECT count(*) FROM rejected_readings WHERE source_partition = partition
          AND reason IN ('DUPLICATE', 'CONFLICT')) AS duplicate,
         (SELECT count(*) FROM rejected_readings WHERE source_partition = partition
          AND reason NOT IN ('DUPLICATE', 'CONFLICT')) AS rejected
       FROM generate_series(0, ${PARTITIONS - 1}) AS partition
     ) AS counted`,
    `INSERT INTO positions
     SELECT partition, (SELECT max(source_offset) + 1 FROM validated_readings),
       ${slotTime(String(slots))} FROM generate_series(0, ${PARTITIONS - 1}) AS partition`,
    `INSERT INTO sink_positions (topic, partition, next_offset)
     SELECT 'smartmeter_' || topic, partition, 1000000
     FROM unnest(ARRAY['validated', 'gap_alerts', 'late_events', 'rejected', 'metrics']) AS topic,
       generate_series(0, ${PARTITIONS - 1}) AS partition`,
  ];
}
