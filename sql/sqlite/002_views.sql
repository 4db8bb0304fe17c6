-- The readings one by one, with the day by which they are found.
CREATE VIEW readings_by_day AS
SELECT d.day AS day,
       CASE typeof(s.value ->> 0) WHEN 'integer'
         THEN strftime('%Y-%m-%dT%H:%M:%SZ', d.day * 86400 + (s.value ->> 0), 'unixepoch')
         ELSE strftime('%Y-%m-%dT%H:%M:%fZ', d.day * 86400 + (s.value ->> 0), 'unixepoch')
       END                                                    AS time,
       d.meter_id                                             AS meter_id,
       CAST(s.value ->> 1 AS REAL)                            AS consumption_kwh,
       CASE WHEN (s.value ->> 3) IS NULL THEN 'OK' ELSE 'LATE' END AS status,
       coalesce(s.value -> 4, '[]')                           AS flags,
       CAST(s.value ->> 3 AS REAL)                            AS delay_seconds,
       d.source_partition                                     AS source_partition,
       s.value ->> 2                                          AS source_offset,
       d.channel                                              AS channel
FROM reading_days AS d, json_each(d.slots) AS s;

CREATE VIEW validated_readings AS
SELECT time, meter_id, consumption_kwh, status, flags, delay_seconds, source_partition,
       source_offset, channel
FROM readings_by_day;

-- Accepted readings of a meter by day (UTC) and partition.
CREATE VIEW readings_meter_daily AS
SELECT strftime('%Y-%m-%dT00:00:00Z', day * 86400, 'unixepoch') AS bucket,
       meter_id, source_partition, readings, late_readings, flagged_readings,
       consumption_mwh / 1e6 AS consumption_kwh,
       CASE first_ms % 1000 WHEN 0
         THEN strftime('%Y-%m-%dT%H:%M:%SZ', day * 86400 + first_ms / 1000, 'unixepoch')
         ELSE strftime('%Y-%m-%dT%H:%M:%fZ', day * 86400 + first_ms / 1e3, 'unixepoch')
       END AS first_at,
       CASE last_ms % 1000 WHEN 0
         THEN strftime('%Y-%m-%dT%H:%M:%SZ', day * 86400 + last_ms / 1000, 'unixepoch')
         ELSE strftime('%Y-%m-%dT%H:%M:%fZ', day * 86400 + last_ms / 1e3, 'unixepoch')
       END AS last_at,
       channel
FROM meter_days;

-- Which missing slots a too-late reading later covered.
CREATE VIEW gap_recovery AS
SELECT g.gap_id, g.meter_id, g.missing_from, g.missing_to, g.state,
       l.event_timestamp AS recovered_slot, l.consumption_kwh, l.delay_seconds
FROM gap_alerts g
JOIN late_events l
  ON l.meter_id = g.meter_id
 AND l.channel = g.channel
 AND julianday(l.event_timestamp) >= julianday(g.missing_from)
 AND julianday(l.event_timestamp) <  julianday(g.missing_to);

-- What follows has its like in sql/003_summaries.sql, where it is told what each is for.
-- Of two times without their Z the later is the greater text; with it, 10:00:00.5Z would come before
-- 10:00:00Z. Seconds are rounded to the milliseconds that times have: julianday() is a little off.
CREATE VIEW gap_summary_hourly AS
SELECT substr(time, 1, 13) || ':00:00Z' AS bucket,
       meter_id, state,
       count(*)                AS gaps,
       sum(missing_intervals)  AS missing_intervals,
       sum(rejected_intervals) AS rejected_intervals,
       sum(gap_minutes)        AS gap_minutes,
       max(gap_minutes)        AS gap_minutes_max
FROM gap_alerts
GROUP BY 1, 2, 3;

CREATE VIEW late_events_summary_hourly AS
SELECT substr(time, 1, 13) || ':00:00Z' AS bucket,
       meter_id,
       count(*)             AS events,
       sum(delay_seconds)   AS delay_seconds_sum,
       min(delay_seconds)   AS delay_seconds_min,
       max(delay_seconds)   AS delay_seconds_max,
       sum(consumption_kwh) AS consumption_kwh
FROM late_events
GROUP BY 1, 2;

CREATE VIEW metrics_summary_hourly AS
SELECT substr(time, 1, 13) || ':00:00Z' AS bucket,
       metric_type, source_partition, tags,
       count(*)   AS samples,
       sum(value) AS value_sum,
       min(value) AS value_min,
       max(value) AS value_max
FROM metrics
GROUP BY 1, 2, 3, 4;

CREATE VIEW readings_daily AS
SELECT bucket, meter_id,
       sum(readings)         AS readings,
       sum(late_readings)    AS late_readings,
       sum(flagged_readings) AS flagged_readings,
       sum(consumption_kwh)  AS consumption_kwh,
       min(first_at)         AS first_at,
       max(last_at)          AS last_at
FROM readings_meter_daily
GROUP BY 1, 2;

CREATE VIEW readings_fleet_daily AS
SELECT strftime('%Y-%m-%dT00:00:00Z', day * 86400, 'unixepoch') AS bucket, source_partition,
       sum(readings)               AS readings,
       sum(late_readings)          AS late_readings,
       sum(flagged_readings)       AS flagged_readings,
       sum(consumption_mwh) / 1e6  AS consumption_kwh
FROM meter_days
GROUP BY day, source_partition;

CREATE VIEW gap_status AS
SELECT gap_id, meter_id, state, missing_from, known_to, missing_to, gap_minutes,
       known_seconds / 60 AS known_minutes,
       missing_intervals,
       CASE WHEN known_to <> missing_to AND gap_minutes > 0
            THEN max(missing_intervals,
                     CAST(known_seconds / 60 * missing_intervals / gap_minutes AS INTEGER))
            ELSE missing_intervals END AS known_intervals,
       rejected_intervals, detected_at, time, source_partition, channel
FROM (
  SELECT *, round((julianday(known_to) - julianday(missing_from)) * 86400, 3) AS known_seconds
  FROM (
    SELECT g.*, CASE WHEN g.state = 'OPEN'
                      AND rtrim(p.watermark, 'Z') > rtrim(g.missing_to, 'Z')
                     THEN p.watermark ELSE g.missing_to END AS known_to
    FROM gap_alerts g LEFT JOIN positions p ON p.partition = g.source_partition
  )
);

-- Each slot counts on the day in which it begins. Most gaps lie within a day; the others are spread over
-- theirs. Of those a day is the seconds before its midnight and before the next one, and how many slots
-- begin before each is a quotient rounded up.
CREATE VIEW missing_daily AS
WITH RECURSIVE gap AS (
  SELECT meter_id, substr(missing_from, 1, 10) AS first_day, known_intervals,
         gap_minutes * 60 / missing_intervals AS step_seconds,
         round((julianday(missing_from) - julianday(substr(missing_from, 1, 10))) * 86400, 3)
           AS first_second
  FROM gap_status WHERE missing_intervals > 0 AND gap_minutes > 0
), spread (meter_id, first_day, number, days, known_intervals, step_seconds, first_second) AS (
  SELECT meter_id, first_day, 0,
         CAST((first_second + (known_intervals - 1) * step_seconds) / 86400 AS INTEGER),
         known_intervals, step_seconds, first_second
  FROM gap WHERE first_second + (known_intervals - 1) * step_seconds >= 86400
  UNION ALL
  SELECT meter_id, first_day, number + 1, days, known_intervals, step_seconds, first_second
  FROM spread WHERE number < days
), edges AS (
  SELECT meter_id, first_day, number, known_intervals,
         max(0, (number * 86400 - first_second) / step_seconds)  AS before,
         ((number + 1) * 86400 - first_second) / step_seconds    AS after
  FROM spread
)
SELECT bucket, meter_id, sum(n) AS missing_intervals
FROM (
  SELECT first_day || 'T00:00:00Z' AS bucket, meter_id, known_intervals AS n
  FROM gap WHERE first_second + (known_intervals - 1) * step_seconds < 86400
  UNION ALL
  SELECT strftime('%Y-%m-%dT00:00:00Z', first_day, number || ' days'), meter_id,
         min(known_intervals, CAST(after AS INTEGER) + (after > CAST(after AS INTEGER)))
         - (CAST(before AS INTEGER) + (before > CAST(before AS INTEGER)))
  FROM edges
)
GROUP BY 1, 2;

CREATE VIEW completeness_daily AS
SELECT bucket, meter_id,
       sum(readings)                     AS readings,
       sum(late_readings)                AS late_readings,
       sum(missing_intervals)            AS missing_intervals,
       sum(readings + missing_intervals) AS expected_intervals,
       100.0 * sum(readings) / nullif(sum(readings + missing_intervals), 0) AS completeness_percent,
       sum(consumption_kwh)              AS consumption_kwh
FROM (
  SELECT bucket, meter_id, readings, late_readings, 0 AS missing_intervals, consumption_kwh
  FROM readings_meter_daily
  UNION ALL
  SELECT bucket, meter_id, 0, 0, missing_intervals, 0 FROM missing_daily
)
GROUP BY 1, 2;

CREATE VIEW completeness_fleet_daily AS
SELECT bucket,
       sum(readings)                     AS readings,
       sum(late_readings)                AS late_readings,
       sum(flagged_readings)             AS flagged_readings,
       sum(missing_intervals)            AS missing_intervals,
       sum(readings + missing_intervals) AS expected_intervals,
       100.0 * sum(readings) / nullif(sum(readings + missing_intervals), 0) AS completeness_percent,
       sum(consumption_kwh)              AS consumption_kwh
FROM (
  SELECT bucket, readings, late_readings, flagged_readings, 0 AS missing_intervals, consumption_kwh
  FROM readings_fleet_daily
  UNION ALL
  SELECT bucket, 0, 0, 0, missing_intervals, 0 FROM missing_daily
)
GROUP BY 1;
