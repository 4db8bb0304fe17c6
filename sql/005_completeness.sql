-- Silent meters, revisions, sources and each meter's account. Runs unchanged on PostgreSQL 15+,
-- TimescaleDB and PGlite.

-- The value that a reading replaces.
ALTER TABLE validated_readings ADD COLUMN revises_kwh double precision;
CREATE INDEX validated_readings_revises ON validated_readings (time) WHERE revises_kwh IS NOT NULL;

-- Of a FILLED gap: the most slots that it ever had.
ALTER TABLE gap_alerts ADD COLUMN filled_intervals integer;

-- Where its row came from; of a repeat, the interval that is taken and the value that holds it.
ALTER TABLE rejected_readings ADD COLUMN source text;
ALTER TABLE rejected_readings ADD COLUMN slot timestamptz;
ALTER TABLE rejected_readings ADD COLUMN held_kwh double precision;

-- Up to where slots are judged: grace_period_seconds before the watermark. Of what stands already it is
-- not known; the next commit says it.
ALTER TABLE positions ADD COLUMN judged_to timestamptz;

-- Milliwatt-hours are whole, so their sum does not depend on the order in which readings came; of a
-- revision they are what it changes. Offsets are those of the latest raw records, of any reading and of a
-- late one; -1: none, or from before they were kept.
ALTER TABLE readings_meter_daily ADD COLUMN revised_readings integer NOT NULL DEFAULT 0;
ALTER TABLE readings_meter_daily ADD COLUMN consumption_mwh bigint NOT NULL DEFAULT 0;
ALTER TABLE readings_meter_daily ADD COLUMN last_offset bigint NOT NULL DEFAULT -1;
ALTER TABLE readings_meter_daily ADD COLUMN last_late_offset bigint NOT NULL DEFAULT -1;
UPDATE readings_meter_daily
SET consumption_mwh = round(greatest(-9e18, least(9e18, consumption_kwh * 1e6)))::bigint;

-- What happened to single meters: few rows.
CREATE INDEX metrics_meter ON metrics (meter_id, metric_type) WHERE meter_id IS NOT NULL;

-- Accepted readings of the whole fleet by day (UTC) and partition.
CREATE OR REPLACE VIEW readings_fleet_daily AS
SELECT bucket, source_partition,
       sum(readings)         AS readings,
       sum(late_readings)    AS late_readings,
       sum(flagged_readings) AS flagged_readings,
       sum(consumption_kwh)  AS consumption_kwh,
       sum(revised_readings) AS revised_readings
FROM readings_meter_daily
GROUP BY 1, 2;

-- Gaps with their length as known now: while they go on up to the watermark, their slots to where slots
-- are judged. silence: of an EXPIRED gap whose meter has not reported since, 'silent', or 'forgotten' where
-- it is counted no further; a meter that was retired is not silent. How long a slot is, the gap's length
-- over its slots says.
CREATE OR REPLACE VIEW gap_status AS
SELECT g.gap_id, g.meter_id, g.state, g.missing_from, k.known_to, g.missing_to,
       g.gap_minutes,
       (extract(epoch FROM k.known_to - g.missing_from) / 60)::double precision AS known_minutes,
       g.missing_intervals,
       CASE WHEN k.goes_on AND k.judged_to >= g.missing_to AND g.missing_to > g.missing_from
            THEN g.missing_intervals + 1 + div(
                   extract(epoch FROM k.judged_to - g.missing_to) * g.missing_intervals,
                   extract(epoch FROM g.missing_to - g.missing_from))::integer
            ELSE g.missing_intervals END AS known_intervals,
       g.rejected_intervals, g.detected_at, g.time, g.source_partition,
       g.filled_intervals, s.silence
FROM gap_alerts g
LEFT JOIN positions p ON p.partition = g.source_partition
LEFT JOIN LATERAL (
  SELECT max(CASE WHEN d.last_offset < 0 AND d.last_at >= g.missing_from
                  THEN g.source_offset + 1 ELSE d.last_offset END) AS last_offset
  FROM readings_meter_daily d
  WHERE g.state = 'EXPIRED' AND d.meter_id = g.meter_id
    AND d.source_partition = g.source_partition
) AS r ON true
LEFT JOIN LATERAL (
  SELECT m.metric_type, m.source_offset FROM metrics m
  WHERE g.state = 'EXPIRED' AND m.meter_id = g.meter_id
    AND m.metric_type IN ('meter_retired', 'meter_forgotten', 'meter_begun')
    AND m.source_partition = g.source_partition AND m.source_offset > g.source_offset
  ORDER BY m.source_offset DESC LIMIT 1
) AS e ON true
CROSS JOIN LATERAL (
  SELECT CASE WHEN g.state <> 'EXPIRED' OR r.last_offset > g.source_offset THEN NULL
              WHEN e.source_offset IS NULL THEN 'silent'
              WHEN e.metric_type = 'meter_forgotten' AND e.source_offset > r.last_offset
              THEN 'forgotten' END AS silence
) AS s
CROSS JOIN LATERAL (
  SELECT w.goes_on, coalesce(p.judged_to, p.watermark) AS judged_to,
         CASE WHEN w.goes_on THEN greatest(g.missing_to, p.watermark)
              ELSE g.missing_to END AS known_to
  FROM (SELECT g.state = 'OPEN' OR s.silence IS NOT DISTINCT FROM 'silent' AS goes_on) AS w
) AS k;

-- Silent meters: since when, and how many slots are missing by now.
CREATE VIEW silences AS
SELECT gap_id, meter_id, silence, missing_from, known_to, known_minutes,
       known_intervals AS missing_intervals, rejected_intervals, detected_at, source_partition
FROM gap_status WHERE silence IS NOT NULL;

-- Completeness of a meter by day (UTC): valid readings of the slots that should have one. A reading that
-- replaces another takes no slot more.
CREATE OR REPLACE VIEW completeness_daily AS
SELECT bucket, meter_id,
       sum(readings)::bigint                     AS readings,
       sum(late_readings)::bigint                AS late_readings,
       sum(missing_intervals)::bigint            AS missing_intervals,
       sum(valid + missing_intervals)::bigint    AS expected_intervals,
       CASE WHEN sum(valid + missing_intervals) > 0
            THEN (100.0 * sum(valid) / sum(valid + missing_intervals))::double precision
       END                                       AS completeness_percent,
       sum(consumption_kwh)                      AS consumption_kwh
FROM (
  SELECT bucket, meter_id, readings, late_readings, readings - revised_readings AS valid,
         0::bigint AS missing_intervals, consumption_kwh
  FROM readings_meter_daily
  UNION ALL
  SELECT bucket, meter_id, 0, 0, 0, missing_intervals, 0 FROM missing_daily
) AS days
GROUP BY 1, 2;

-- The same of the whole fleet.
CREATE OR REPLACE VIEW completeness_fleet_daily AS
SELECT bucket,
       sum(readings)::bigint                     AS readings,
       sum(late_readings)::bigint                AS late_readings,
       sum(flagged_readings)::bigint             AS flagged_readings,
       sum(missing_intervals)::bigint            AS missing_intervals,
       sum(valid + missing_intervals)::bigint    AS expected_intervals,
       CASE WHEN sum(valid + missing_intervals) > 0
            THEN (100.0 * sum(valid) / sum(valid + missing_intervals))::double precision
       END                                       AS completeness_percent,
       sum(consumption_kwh)                      AS consumption_kwh
FROM (
  SELECT bucket, readings, late_readings, flagged_readings, readings - revised_readings AS valid,
         0::bigint AS missing_intervals, consumption_kwh
  FROM readings_fleet_daily
  UNION ALL
  SELECT bucket, 0, 0, 0, 0, missing_intervals, 0 FROM missing_daily
) AS days
GROUP BY 1;

-- Each meter's account, and how it stands: the first that fits of retired, silent, gap, unusable,
-- unjudged, late, healthy. Of each table its meters' sums, one below the other. Slots are expected from the
-- first reading to where slots are judged: the latest reading may lie behind that. A meter whose interval
-- is not known has no slots. Offsets tell what came after what; a figure of a meter has the offset after
-- its cause.
CREATE VIEW meter_status AS
WITH part (meter_id, known, readings, revised, late, first_at, last_at, partition, last_offset,
           late_offset, missing, silent, gaps, open_gaps, silences, too_late, rejected, identical,
           conflicting, retired_offset, forgotten_offset, begun_offset,
           unknown_offset, learned_offset) AS (
  SELECT meter_id, 1, sum(readings), sum(revised_readings), sum(late_readings),
         min(first_at), max(last_at), max(source_partition), max(last_offset),
         max(last_late_offset), 0, 0, 0, 0, 0, 0::bigint, 0, 0, 0, -1::bigint, -1::bigint,
         -1::bigint, -1::bigint, -1::bigint
  FROM readings_meter_daily GROUP BY meter_id
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
         min(first_at) AS first_at, max(last_at) AS last_at, max(partition) AS partition,
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
              WHEN late_offset >= 0 AND late_offset >= last_offset
                AND (last_offset >= 0 OR readings = 0) THEN 'late'
              ELSE 'healthy' END AS status,
         CASE WHEN is_unjudged THEN 0
              ELSE readings - revised
                - coalesce((a.last_at > p.judged_to)::integer, 0) END AS valid
  FROM account a LEFT JOIN positions p ON p.partition = a.partition
)
SELECT meter_id, status, readings::bigint AS readings, first_at, last_at,
       missing::bigint AS missing_intervals, silent::bigint AS silent_intervals,
       gaps::bigint AS gaps, open_gaps::bigint AS open_gaps, late::bigint AS late,
       too_late::bigint AS too_late, rejected::bigint AS rejected, identical::bigint AS identical,
       conflicting::bigint AS conflicting, revised::bigint AS revised_readings,
       valid::bigint AS valid_intervals, (valid + missing)::bigint AS expected_intervals,
       (100.0 * valid / nullif(valid + missing, 0))::double precision AS completeness_percent
FROM judged;

-- How complete all is, and what it is made of: those that report, and the silent. One that was retired
-- does not report; what it sent counts in all.
CREATE VIEW completeness AS
SELECT count(*)                                       AS meters,
       count(*) FILTER (WHERE status = 'silent')      AS silent_meters,
       coalesce(sum(valid_intervals), 0)::bigint      AS valid_intervals,
       coalesce(sum(expected_intervals), 0)::bigint   AS expected_intervals,
       coalesce(sum(silent_intervals), 0)::bigint     AS silent_intervals,
       (100.0 * sum(valid_intervals) / nullif(sum(expected_intervals), 0))::double precision
         AS completeness_percent,
       (100.0 * sum(valid_intervals) FILTER (WHERE status NOT IN ('silent', 'retired'))
         / nullif(sum(expected_intervals) FILTER (WHERE status NOT IN ('silent', 'retired')), 0))::double precision
         AS completeness_reporting_percent
FROM meter_status;

-- Readings for a slot that is taken: sent again, or another value for it; and when and where the reading
-- came that holds it. Of those of the holder's value it is the one nearest to the slot.
CREATE VIEW duplicates AS
SELECT r.time, r.meter_id, r.event_timestamp,
       CASE r.reason WHEN 'DUPLICATE' THEN 'identical' ELSE 'conflicting' END AS repeats,
       r.consumption_kwh, r.slot, r.held_kwh, h.time AS held_at, h.source_offset AS held_offset,
       r.source, r.source_partition, r.source_offset
FROM rejected_readings r
LEFT JOIN LATERAL (
  SELECT v.time, v.source_offset FROM validated_readings v
  WHERE v.time >= date_trunc('day', r.slot, 'UTC') - interval '24 hours'
    AND v.time < date_trunc('day', r.slot, 'UTC') + interval '48 hours'
    AND v.meter_id = r.meter_id AND v.consumption_kwh = r.held_kwh
    AND v.source_partition = r.source_partition AND v.source_offset < r.source_offset
  ORDER BY abs(extract(epoch FROM v.time - r.slot)), v.source_offset DESC LIMIT 1
) AS h ON true
WHERE r.reason IN ('DUPLICATE', 'CONFLICT');

-- Which readings that are taken one that came too late repeats, or contradicts.
CREATE VIEW late_revisions AS
SELECT l.time, l.meter_id, l.event_timestamp,
       CASE WHEN v.consumption_kwh = l.consumption_kwh THEN 'identical' ELSE 'conflicting' END
         AS repeats,
       l.consumption_kwh, v.consumption_kwh AS held_kwh, v.source_offset AS held_offset,
       l.delay_seconds, l.source_partition, l.source_offset
FROM late_events l
CROSS JOIN LATERAL (
  SELECT v.consumption_kwh, v.source_offset FROM validated_readings v
  WHERE v.meter_id = l.meter_id AND v.time = l.event_timestamp
    AND v.source_partition = l.source_partition AND v.source_offset < l.source_offset
  ORDER BY v.source_offset DESC LIMIT 1
) AS v;

-- Readings that replace another, and which: of those of the value that is replaced the nearest, and the
-- latest of these.
CREATE VIEW revisions AS
SELECT r.time, r.meter_id, r.consumption_kwh, r.revises_kwh, h.time AS revised_at,
       h.source_offset AS revised_offset, r.source_partition, r.source_offset
FROM validated_readings r
LEFT JOIN LATERAL (
  SELECT v.time, v.source_offset FROM validated_readings v
  WHERE v.time >= date_trunc('day', r.time, 'UTC') - interval '24 hours'
    AND v.time < date_trunc('day', r.time, 'UTC') + interval '48 hours'
    AND v.meter_id = r.meter_id AND v.consumption_kwh = r.revises_kwh
    AND v.source_partition = r.source_partition AND v.source_offset < r.source_offset
  ORDER BY abs(extract(epoch FROM v.time - r.time)), v.source_offset DESC LIMIT 1
) AS h ON true
WHERE r.revises_kwh IS NOT NULL;

-- The newest value of each slot.
CREATE VIEW readings_current AS
SELECT v.* FROM validated_readings v
WHERE NOT EXISTS (
  SELECT 1 FROM revisions r
  WHERE r.source_partition = v.source_partition AND r.revised_offset = v.source_offset
);

-- Meters with a reading in the last hours of event time: an archive's end is its "now". Which ones is
-- known by their days; their readings are found by the primary key, in whatever order they were
-- written.
CREATE OR REPLACE FUNCTION get_active_meters(hours_back double precision DEFAULT 24)
RETURNS TABLE (meter_id text, readings bigint, last_at timestamptz, consumption_kwh double precision)
LANGUAGE sql STABLE AS $$
  WITH since AS (
    SELECT max(watermark) - hours_back * interval '1 hour' AS at FROM positions
  ), active AS MATERIALIZED (
    SELECT DISTINCT d.meter_id FROM readings_meter_daily d
    WHERE d.bucket >= (SELECT date_bin('1 day', at, timestamptz '2000-01-03 00:00:00+00') FROM since)
      AND d.last_at > (SELECT at FROM since)
  )
  SELECT a.meter_id, r.readings, r.last_at, r.consumption_kwh
  FROM active a CROSS JOIN LATERAL (
    SELECT count(*) - count(v.revises_kwh) AS readings, max(v.time) AS last_at,
           sum(v.consumption_kwh - coalesce(v.revises_kwh, 0)) AS consumption_kwh
    FROM validated_readings v
    WHERE v.meter_id = a.meter_id AND v.time > (SELECT at FROM since)
  ) AS r
  ORDER BY a.meter_id
$$;
