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
       CAST(s.value ->> 5 AS REAL)                            AS revises_kwh,
       d.channel                                              AS channel
FROM reading_days AS d, json_each(d.slots) AS s;

CREATE VIEW validated_readings AS
SELECT time, meter_id, consumption_kwh, status, flags, delay_seconds, source_partition,
       source_offset, revises_kwh, channel
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
       revised_readings, consumption_mwh, last_offset, last_late_offset, channel
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
       sum(consumption_mwh) / 1e6  AS consumption_kwh,
       sum(revised_readings)       AS revised_readings
FROM meter_days
GROUP BY day, source_partition;

-- What of it is silence, whose meter has not reported since: 'silent', or 'forgotten' where it is counted
-- no further; a meter that was retired is not silent. A gap that goes on is known to the watermark, its
-- slots to where they are judged. How long a slot is, the gap's length over its slots says; milliseconds
-- are whole, and so is what a quotient of them is cut to.
CREATE VIEW gap_status AS
SELECT gap_id, meter_id, state, missing_from, known_to, missing_to, gap_minutes,
       round((julianday(known_to) - julianday(missing_from)) * 86400, 3) / 60 AS known_minutes,
       missing_intervals,
       CASE WHEN goes_on AND judged_ms >= 0 AND gap_ms > 0
            THEN missing_intervals + judged_ms * missing_intervals / gap_ms + 1
            ELSE missing_intervals END AS known_intervals,
       rejected_intervals, detected_at, time, source_partition, filled_intervals, silence, channel
FROM (
  SELECT *, CASE WHEN goes_on AND rtrim(watermark, 'Z') > rtrim(missing_to, 'Z')
                 THEN watermark ELSE missing_to END AS known_to,
         CAST(round((julianday(judged_to) - julianday(missing_to)) * 86400000) AS INTEGER)
           AS judged_ms,
         CAST(round((julianday(missing_to) - julianday(missing_from)) * 86400000) AS INTEGER)
           AS gap_ms
  FROM (
    SELECT *, state = 'OPEN' OR silence IS 'silent' AS goes_on
    FROM (
      SELECT *, CASE WHEN state <> 'EXPIRED' OR last_offset > source_offset THEN NULL
                     WHEN end_offset IS NULL THEN 'silent'
                     WHEN end_type = 'meter_forgotten' AND end_offset > last_offset
                     THEN 'forgotten' END AS silence
      FROM (
        SELECT g.*, p.watermark, p.judged_to, e.metric_type AS end_type,
               e.source_offset AS end_offset,
               t.last_offset
        FROM gap_alerts g
        LEFT JOIN meter_totals t ON t.meter_id = g.meter_id AND t.channel = g.channel
          AND t.source_partition = g.source_partition
        LEFT JOIN positions p ON p.partition = g.source_partition
        LEFT JOIN metrics e ON e.rowid = (
          SELECT m.rowid FROM metrics m
          WHERE g.state = 'EXPIRED' AND m.meter_id = g.meter_id
            AND m.metric_type IN ('meter_retired', 'meter_forgotten', 'meter_begun')
            AND m.source_partition = g.source_partition AND m.source_offset > g.source_offset
          ORDER BY m.source_offset DESC LIMIT 1
        )
      )
    )
  )
);

-- Silent meters: since when, and how many slots are missing by now.
CREATE VIEW silences AS
SELECT gap_id, meter_id, silence, missing_from, known_to, known_minutes,
       known_intervals AS missing_intervals, rejected_intervals, detected_at, source_partition, channel
FROM gap_status WHERE silence IS NOT NULL;

-- Each slot counts on the day in which it begins. Most gaps are closed and end on the day on which they
-- begin: those are as they were announced. The others are spread over their days. Of those a day is the
-- seconds before its midnight and before the next one, and how many slots begin before each is a quotient
-- rounded up. A meter's day is in as many rows as it has gaps.
CREATE VIEW missing_parts AS
WITH RECURSIVE spread (meter_id, first_day, number, days, known_intervals, step_seconds, first_second) AS (
  SELECT meter_id, first_day, 0,
         CAST((first_second + (known_intervals - 1) * step_seconds) / 86400 AS INTEGER),
         known_intervals, step_seconds, first_second
  FROM (
    SELECT meter_id, substr(missing_from, 1, 10) AS first_day, known_intervals,
           gap_minutes * 60 / missing_intervals AS step_seconds,
           substr(missing_from, 12, 2) * 3600 + substr(missing_from, 15, 2) * 60
             + rtrim(substr(missing_from, 18), 'Z') AS first_second
    FROM gap_status
    WHERE missing_intervals > 0 AND gap_minutes > 0
      AND NOT (state = 'CLOSED' AND substr(missing_to, 1, 10) = substr(missing_from, 1, 10))
  )
  UNION ALL
  SELECT meter_id, first_day, number + 1, days, known_intervals, step_seconds, first_second
  FROM spread WHERE number < days
), edges AS (
  SELECT meter_id, first_day, number, known_intervals,
         max(0, (number * 86400 - first_second) / step_seconds)  AS before,
         ((number + 1) * 86400 - first_second) / step_seconds    AS after
  FROM spread
)
SELECT substr(missing_from, 1, 10) || 'T00:00:00Z' AS bucket, meter_id, missing_intervals
FROM gap_alerts
WHERE missing_intervals > 0 AND gap_minutes > 0
  AND state = 'CLOSED' AND substr(missing_to, 1, 10) = substr(missing_from, 1, 10)
UNION ALL
SELECT strftime('%Y-%m-%dT00:00:00Z', first_day, number || ' days'), meter_id,
       min(known_intervals, CAST(after AS INTEGER) + (after > CAST(after AS INTEGER)))
       - (CAST(before AS INTEGER) + (before > CAST(before AS INTEGER)))
FROM edges;

CREATE VIEW missing_daily AS
SELECT bucket, meter_id, sum(missing_intervals) AS missing_intervals FROM missing_parts GROUP BY 1, 2;

CREATE VIEW completeness_daily AS
SELECT bucket, meter_id,
       sum(readings)                  AS readings,
       sum(late_readings)             AS late_readings,
       sum(missing_intervals)         AS missing_intervals,
       sum(valid + missing_intervals) AS expected_intervals,
       100.0 * sum(valid) / nullif(sum(valid + missing_intervals), 0) AS completeness_percent,
       sum(consumption_kwh)           AS consumption_kwh
FROM (
  SELECT bucket, meter_id, readings, late_readings, readings - revised_readings AS valid,
         0 AS missing_intervals, consumption_kwh
  FROM readings_meter_daily
  UNION ALL
  SELECT bucket, meter_id, 0, 0, 0, missing_intervals, 0 FROM missing_parts
)
GROUP BY 1, 2;

CREATE VIEW completeness_fleet_daily AS
SELECT bucket,
       sum(readings)                  AS readings,
       sum(late_readings)             AS late_readings,
       sum(flagged_readings)          AS flagged_readings,
       sum(missing_intervals)         AS missing_intervals,
       sum(valid + missing_intervals) AS expected_intervals,
       100.0 * sum(valid) / nullif(sum(valid + missing_intervals), 0) AS completeness_percent,
       sum(consumption_kwh)           AS consumption_kwh
FROM (
  SELECT bucket, readings, late_readings, flagged_readings, readings - revised_readings AS valid,
         0 AS missing_intervals, consumption_kwh
  FROM readings_fleet_daily
  UNION ALL
  SELECT bucket, 0, 0, 0, 0, missing_intervals, 0 FROM missing_parts
)
GROUP BY 1;

-- Each meter's account, and how it stands: the first that fits of retired, silent, gap, unusable,
-- unjudged, late, healthy. Of each table its meters' sums, one below the other. Slots are expected from the
-- first reading to where slots are judged: the latest reading may lie behind that. A meter whose interval
-- is not known has no slots. Offsets tell what came after what; a figure of a meter has the offset after
-- its cause.
CREATE VIEW meter_status AS
WITH part (meter_id, known, readings, revised, late, first_ms, last_ms, partition, last_offset,
           late_offset, missing, silent, gaps, open_gaps, silences, too_late, rejected, identical,
           conflicting, retired_offset, forgotten_offset, begun_offset,
           unknown_offset, learned_offset) AS (
  SELECT meter_id, 1, sum(readings), sum(revised_readings), sum(late_readings),
         min(first_ms), max(last_ms), max(source_partition), max(last_offset), max(last_late_offset), 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1
  FROM meter_totals GROUP BY meter_id
  UNION ALL
  SELECT meter_id, 1, 0, 0, 0, NULL, NULL, NULL, -1, -1, sum(known_intervals),
         coalesce(sum(known_intervals) FILTER (WHERE silence IS NOT NULL), 0),
         count(*) FILTER (WHERE state <> 'FILLED'), count(*) FILTER (WHERE state = 'OPEN'),
         count(silence), 0, 0, 0, 0, -1, -1, -1, -1, -1
  FROM gap_status GROUP BY meter_id
  UNION ALL
  SELECT meter_id, 1, 0, 0, 0, NULL, NULL, NULL, -1, max(source_offset), 0, 0, 0, 0, 0, count(*),
         0, 0, 0, -1, -1, -1, -1, -1
  FROM late_events GROUP BY meter_id
  UNION ALL
  SELECT meter_id, 1, 0, 0, 0, NULL, NULL, NULL, -1, -1, 0, 0, 0, 0, 0, 0,
         count(*) FILTER (WHERE reason NOT IN ('DUPLICATE', 'CONFLICT')),
         count(*) FILTER (WHERE reason = 'DUPLICATE'), count(*) FILTER (WHERE reason = 'CONFLICT'),
         -1, -1, -1, -1, -1
  FROM rejected_readings WHERE meter_id IS NOT NULL GROUP BY meter_id
  UNION ALL
  SELECT meter_id, 0, 0, 0, 0, NULL, NULL, NULL, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
         coalesce(max(source_offset) FILTER (WHERE metric_type = 'meter_retired'), -1),
         coalesce(max(source_offset) FILTER (WHERE metric_type = 'meter_forgotten'), -1),
         coalesce(max(source_offset) FILTER (WHERE metric_type = 'meter_begun'), -1),
         coalesce(max(source_offset) FILTER (WHERE metric_type = 'interval_unknown'), -1),
         coalesce(max(source_offset) FILTER (WHERE metric_type = 'interval_learned'), -1)
  FROM metrics
  WHERE meter_id IS NOT NULL
    AND metric_type IN ('meter_retired', 'meter_forgotten', 'meter_begun', 'interval_unknown',
                        'interval_learned')
  GROUP BY meter_id
), account AS (
  SELECT meter_id, sum(readings) AS readings, sum(revised) AS revised, sum(late) AS late,
         min(first_ms) AS first_ms, max(last_ms) AS last_ms, max(partition) AS partition,
         max(last_offset) AS last_offset, max(late_offset) AS late_offset, sum(missing) AS missing,
         sum(silent) AS silent, sum(gaps) AS gaps, sum(open_gaps) AS open_gaps,
         sum(silences) AS silences, sum(too_late) AS too_late, sum(rejected) AS rejected,
         sum(identical) AS identical, sum(conflicting) AS conflicting,
         max(retired_offset) AS retired_offset, max(forgotten_offset) AS forgotten_offset,
         max(unknown_offset) > max(learned_offset) AND max(unknown_offset) >= max(begun_offset)
           AND max(unknown_offset) > max(forgotten_offset)
           AND max(unknown_offset) > max(retired_offset) AS is_unjudged
  FROM part GROUP BY meter_id HAVING max(known) = 1
), judged AS (
  SELECT a.*,
         CASE WHEN retired_offset > last_offset THEN 'retired'
              WHEN silences > 0 OR forgotten_offset > last_offset THEN 'silent'
              WHEN open_gaps > 0 THEN 'gap'
              WHEN readings = 0 AND too_late = 0 THEN 'unusable'
              WHEN is_unjudged THEN 'unjudged'
              WHEN late_offset >= 0 AND late_offset >= last_offset THEN 'late'
              ELSE 'healthy' END AS status,
         CASE WHEN is_unjudged THEN 0
              ELSE readings - revised - coalesce(
                last_ms > round((julianday(p.judged_to) - 2440587.5) * 86400000), 0) END AS valid
  FROM account a LEFT JOIN positions p ON p.partition = a.partition
)
SELECT meter_id, status, readings,
       replace(strftime('%Y-%m-%dT%H:%M:%fZ', first_ms / 1e3, 'unixepoch'), '.000Z', 'Z') AS first_at,
       replace(strftime('%Y-%m-%dT%H:%M:%fZ', last_ms / 1e3, 'unixepoch'), '.000Z', 'Z') AS last_at,
       missing AS missing_intervals, silent AS silent_intervals, gaps, open_gaps, late, too_late,
       rejected, identical, conflicting, revised AS revised_readings, valid AS valid_intervals,
       valid + missing AS expected_intervals,
       100.0 * valid / nullif(valid + missing, 0) AS completeness_percent
FROM judged;

-- How complete all is, and what it is made of: those that report, and the silent. One that was retired
-- does not report; what it sent counts in all.
CREATE VIEW completeness AS
SELECT count(*)                                       AS meters,
       count(*) FILTER (WHERE status = 'silent')      AS silent_meters,
       coalesce(sum(valid_intervals), 0)              AS valid_intervals,
       coalesce(sum(expected_intervals), 0)           AS expected_intervals,
       coalesce(sum(silent_intervals), 0)             AS silent_intervals,
       100.0 * sum(valid_intervals) / nullif(sum(expected_intervals), 0) AS completeness_percent,
       100.0 * sum(valid_intervals) FILTER (WHERE status NOT IN ('silent', 'retired'))
         / nullif(sum(expected_intervals) FILTER (WHERE status NOT IN ('silent', 'retired')), 0)
         AS completeness_reporting_percent
FROM meter_status;

-- Readings for a slot that is taken: sent again, or another value for it; and when and where the reading
-- came that holds it. Of those of the holder's value it is the one nearest to the slot.
CREATE VIEW duplicates AS
SELECT time, meter_id, event_timestamp,
       CASE reason WHEN 'DUPLICATE' THEN 'identical' ELSE 'conflicting' END AS repeats,
       consumption_kwh, slot, held_kwh, holder ->> 0 AS held_at, holder ->> 1 AS held_offset,
       source, source_partition, source_offset, channel
FROM (
  SELECT r.*, (
    SELECT json_array(v.time, v.source_offset) FROM readings_by_day v
    WHERE v.day BETWEEN r.slot_day - 1 AND r.slot_day + 1 AND v.meter_id = r.meter_id
      AND v.channel = r.channel AND v.consumption_kwh = r.held_kwh
      AND v.source_partition = r.source_partition AND v.source_offset < r.source_offset
    ORDER BY abs(round((julianday(v.time) - julianday(r.slot)) * 86400000)), v.source_offset DESC
    LIMIT 1
  ) AS holder
  FROM (
    SELECT *, CAST(julianday(substr(slot, 1, 10)) - 2440587.5 AS INTEGER) AS slot_day
    FROM rejected_readings WHERE reason IN ('DUPLICATE', 'CONFLICT')
  ) AS r
);

-- Which readings that are taken one that came too late repeats, or contradicts.
CREATE VIEW late_revisions AS
SELECT l.time, l.meter_id, l.event_timestamp,
       CASE WHEN v.consumption_kwh = l.consumption_kwh THEN 'identical' ELSE 'conflicting' END
         AS repeats,
       l.consumption_kwh, v.consumption_kwh AS held_kwh, v.source_offset AS held_offset,
       l.delay_seconds, l.source_partition, l.source_offset, l.channel
FROM late_events l
CROSS JOIN readings_by_day v
  ON v.day = CAST(julianday(substr(l.event_timestamp, 1, 10)) - 2440587.5 AS INTEGER)
 AND v.meter_id = l.meter_id AND v.channel = l.channel AND v.time = l.event_timestamp
 AND v.source_partition = l.source_partition AND v.source_offset < l.source_offset
WHERE NOT EXISTS (
  SELECT 1 FROM readings_by_day n
  WHERE n.day = v.day AND n.meter_id = v.meter_id AND n.channel = v.channel AND n.time = v.time
    AND n.source_partition = v.source_partition AND n.source_offset > v.source_offset
    AND n.source_offset < l.source_offset
);

-- Readings that replace another, and which: of those of the value that is replaced the nearest, and the
-- latest of these. The days' sums tell where there are any.
CREATE VIEW revisions AS
SELECT time, meter_id, consumption_kwh, revises_kwh, holder ->> 0 AS revised_at,
       holder ->> 1 AS revised_offset, source_partition, source_offset, channel
FROM (
  SELECT r.*, (
    SELECT json_array(v.time, v.source_offset) FROM readings_by_day v
    WHERE v.day BETWEEN r.day - 1 AND r.day + 1 AND v.meter_id = r.meter_id
      AND v.channel = r.channel AND v.consumption_kwh = r.revises_kwh
      AND v.source_partition = r.source_partition AND v.source_offset < r.source_offset
    ORDER BY abs(round((julianday(v.time) - julianday(r.time)) * 86400000)), v.source_offset DESC
    LIMIT 1
  ) AS holder
  FROM meter_days m CROSS JOIN readings_by_day r
    ON r.day = m.day AND r.meter_id = m.meter_id AND r.channel = m.channel
   AND r.source_partition = m.source_partition
  WHERE m.revised_readings > 0 AND r.revises_kwh IS NOT NULL
);

-- The newest value of each slot.
CREATE VIEW readings_current AS
SELECT * FROM validated_readings
WHERE (source_partition, source_offset) NOT IN (
  SELECT source_partition, revised_offset FROM revisions WHERE revised_offset IS NOT NULL
);
