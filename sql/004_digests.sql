-- What the rows of a table come to, by partition and day: how many, and the sum of their hashes
-- (src/tables/digest.ts), changed in the transaction that changes the rows. day counts from 1970-01-01
-- (UTC); a table that is not kept by day has one row, day -1; one that is not kept by partition has
-- source_partition -1. marked: how many of validated_readings are LATE, and of rejected_readings
-- DUPLICATE or CONFLICT: once retention has dropped a day, the ledger is held against these counts.
CREATE TABLE digests (
  table_name       text COLLATE "C" NOT NULL,
  source_partition integer          NOT NULL,
  day              integer          NOT NULL,
  rows             bigint           NOT NULL,
  marked           bigint           NOT NULL,
  low              bigint           NOT NULL,
  high             bigint           NOT NULL,
  PRIMARY KEY (table_name, source_partition, day)
) WITH (fillfactor = 50);

-- Rows that were here before digests were kept: they are counted, and nothing proves them. Those that
-- come from raw records before the largest end_offset of their table and partition are meant; where it
-- is null, all of a table's rows of that partition.
CREATE TABLE undigested (
  table_name       text COLLATE "C" NOT NULL,
  source_partition integer          NOT NULL,
  day              integer          NOT NULL,
  rows             bigint           NOT NULL,
  marked           bigint           NOT NULL,
  end_offset       bigint,
  PRIMARY KEY (table_name, source_partition, day)
);
INSERT INTO undigested
SELECT 'validated_readings', source_partition, floor(extract(epoch FROM time) / 86400) AS day,
       count(*), count(*) FILTER (WHERE status = 'LATE'), max(source_offset) + 1
FROM validated_readings GROUP BY 2, 3
UNION ALL
SELECT 'gap_alerts', source_partition, floor(extract(epoch FROM time) / 86400) AS day,
       count(*), 0, max(source_offset) + 1
FROM gap_alerts GROUP BY 2, 3
UNION ALL
SELECT 'late_events', source_partition, floor(extract(epoch FROM time) / 86400) AS day,
       count(*), 0, max(source_offset) + 1
FROM late_events GROUP BY 2, 3
UNION ALL
SELECT 'rejected_readings', source_partition, floor(extract(epoch FROM time) / 86400) AS day,
       count(*), count(*) FILTER (WHERE reason IN ('DUPLICATE', 'CONFLICT')), max(source_offset) + 1
FROM rejected_readings GROUP BY 2, 3
UNION ALL
SELECT 'metrics', source_partition, floor(extract(epoch FROM time) / 86400) AS day,
       count(*), 0, max(source_offset) + 1
FROM metrics GROUP BY 2, 3
UNION ALL
SELECT 'ledger', partition, -1, 1, 0, NULL FROM ledger
UNION ALL
SELECT 'positions', partition, -1, 1, 0, NULL FROM positions
UNION ALL
SELECT 'sink_positions', partition, -1, count(*), 0, NULL FROM sink_positions GROUP BY 2
UNION ALL
SELECT 'sink_errors', partition, -1, count(*), 0, NULL FROM sink_errors GROUP BY 2;

-- Tables that only databases have that `run` plays into.
DO $$
BEGIN
  IF to_regclass('task_state') IS NOT NULL THEN
    INSERT INTO undigested
    SELECT 'task_state', partition, -1, 1, 0, CAST(NULL AS bigint) FROM task_state
    UNION ALL
    SELECT 'state_changelog', partition, -1, count(*), 0, max(next_offset) + 1
    FROM state_changelog GROUP BY 2
    UNION ALL
    SELECT 'inputs', -1, -1, count(*), 0, NULL FROM inputs HAVING count(*) > 0
    UNION ALL
    SELECT 'settings', -1, -1, count(*), 0, NULL FROM settings HAVING count(*) > 0;
  END IF;
END $$;

-- Rows that retention has dropped, which TimescaleDB's does by whole days: nothing else drops any
-- (sql/timescale/004_dropped.sql).
CREATE VIEW dropped_days AS
SELECT table_name, source_partition, day, rows, marked FROM digests WHERE false;

-- The same by partition: before_day is the first day of which nothing was dropped.
CREATE VIEW dropped AS
SELECT source_partition AS partition, max(day) + 1 AS before_day,
       coalesce(sum(rows - marked) FILTER (WHERE table_name = 'validated_readings'), 0) AS ok,
       coalesce(sum(marked) FILTER (WHERE table_name = 'validated_readings'), 0)        AS late,
       coalesce(sum(rows) FILTER (WHERE table_name = 'late_events'), 0)                 AS too_late,
       coalesce(sum(marked) FILTER (WHERE table_name = 'rejected_readings'), 0)         AS duplicate,
       coalesce(sum(rows - marked) FILTER (WHERE table_name = 'rejected_readings'), 0)  AS rejected,
       coalesce(sum(rows) FILTER (WHERE table_name = 'metrics'), 0)                     AS metrics
FROM dropped_days
GROUP BY 1;
