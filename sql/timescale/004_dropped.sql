-- TimescaleDB, any edition: what its retention has dropped. A day is one that may be dropped where no
-- chunk of its table has it any more, or where its chunk is older than the retention policy keeps: then
-- what digests count of it and is not there was dropped. Anything else that is not there is lost.
CREATE OR REPLACE VIEW dropped_days AS
WITH kept AS (
  SELECT table_name, source_partition, day, sum(rows)::bigint AS rows, sum(marked)::bigint AS marked
  FROM (SELECT table_name, source_partition, day, rows, marked FROM digests
        UNION ALL
        SELECT table_name, source_partition, day, rows, marked FROM undigested) AS counted
  WHERE table_name IN ('validated_readings', 'late_events', 'rejected_readings', 'metrics')
  GROUP BY 1, 2, 3
), retention AS MATERIALIZED (
  SELECT hypertable_name::text AS table_name,
         max(now() - (config->>'drop_after')::interval) AS kept_from
  FROM timescaledb_information.jobs
  WHERE config->>'drop_after' IS NOT NULL AND hypertable_schema = current_schema()
  GROUP BY 1
), chunks AS MATERIALIZED (
  SELECT hypertable_name::text AS table_name, range_start, range_end
  FROM timescaledb_information.chunks WHERE hypertable_schema = current_schema()
), gone AS MATERIALIZED (
  SELECT d.table_name, d.day
  FROM (SELECT DISTINCT table_name, day FROM kept) AS d
  LEFT JOIN retention r ON r.table_name = d.table_name
  WHERE NOT EXISTS (
    SELECT 1 FROM chunks c
    WHERE c.table_name = d.table_name AND c.range_start <= to_timestamp(d.day * 86400.0)
      AND c.range_end > to_timestamp(d.day * 86400.0)
      AND c.range_end > coalesce(r.kept_from, '-infinity'))
), there AS (
  SELECT 'validated_readings' AS table_name, source_partition,
         floor(extract(epoch FROM time) / 86400) AS day,
         count(*) AS rows, count(*) FILTER (WHERE status = 'LATE') AS marked
  FROM validated_readings
  WHERE time < (SELECT kept_from FROM retention WHERE table_name = 'validated_readings')
  GROUP BY 2, 3
  UNION ALL
  SELECT 'late_events', source_partition, floor(extract(epoch FROM time) / 86400) AS day, count(*), 0
  FROM late_events
  WHERE time < (SELECT kept_from FROM retention WHERE table_name = 'late_events')
  GROUP BY 2, 3
  UNION ALL
  SELECT 'rejected_readings', source_partition, floor(extract(epoch FROM time) / 86400) AS day,
         count(*), count(*) FILTER (WHERE reason IN ('DUPLICATE', 'CONFLICT'))
  FROM rejected_readings
  WHERE time < (SELECT kept_from FROM retention WHERE table_name = 'rejected_readings')
  GROUP BY 2, 3
  UNION ALL
  SELECT 'metrics', source_partition, floor(extract(epoch FROM time) / 86400) AS day, count(*), 0
  FROM metrics
  WHERE time < (SELECT kept_from FROM retention WHERE table_name = 'metrics')
  GROUP BY 2, 3
)
SELECT k.table_name, k.source_partition, k.day, k.rows - coalesce(t.rows, 0) AS rows,
       greatest(k.marked - coalesce(t.marked, 0), 0) AS marked
FROM gone g
JOIN kept k ON k.table_name = g.table_name AND k.day = g.day
LEFT JOIN there t ON t.table_name = k.table_name AND t.source_partition = k.source_partition
  AND t.day = k.day
WHERE k.rows > coalesce(t.rows, 0);
