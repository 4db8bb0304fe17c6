-- What follows has its like in sql/012_local_days.sql, where it is told what each is for.
CREATE TABLE zone_offsets (
  starts_at      TEXT    PRIMARY KEY,
  offset_seconds INTEGER NOT NULL,
  zone           TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- An offset changes with a whole second: fractions are left out where times are compared as texts.
CREATE VIEW completeness_local_daily AS
WITH RECURSIVE slots (meter_id, missing_from, step_seconds, n, known_intervals) AS (
  SELECT meter_id, missing_from, gap_minutes * 60.0 / missing_intervals, 0, known_intervals
  FROM gap_status WHERE missing_intervals > 0 AND gap_minutes > 0
  UNION ALL
  SELECT meter_id, missing_from, step_seconds, n + 1, known_intervals FROM slots
  WHERE n + 1 < known_intervals
)
SELECT date(time, coalesce((
         SELECT offset_seconds FROM zone_offsets
         WHERE starts_at <= substr(time, 1, 19) || 'Z' ORDER BY starts_at DESC LIMIT 1
       ), 0) || ' seconds')               AS local_day,
       meter_id,
       sum(readings)                      AS readings,
       sum(late_readings)                 AS late_readings,
       sum(missing_intervals)             AS missing_intervals,
       sum(valid + missing_intervals)     AS expected_intervals,
       100.0 * sum(valid) / nullif(sum(valid + missing_intervals), 0) AS completeness_percent,
       sum(consumption_kwh)               AS consumption_kwh
FROM (
  SELECT time, meter_id, 1 AS readings, status = 'LATE' AS late_readings, revises_kwh IS NULL AS valid,
         0 AS missing_intervals, consumption_kwh - coalesce(revises_kwh, 0) AS consumption_kwh
  FROM validated_readings
  UNION ALL
  SELECT strftime('%Y-%m-%dT%H:%M:%fZ', missing_from, (n * step_seconds) || ' seconds'), meter_id,
         0, 0, 0, 1, 0
  FROM slots
)
GROUP BY 1, 2;
