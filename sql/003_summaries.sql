-- What the dashboards, the API and the sink need on top of the tables. Runs unchanged on
-- PostgreSQL 15+, TimescaleDB and PGlite. On TimescaleDB the views named *_hourly and
-- readings_daily become continuous aggregates (sql/timescale/): each is one aggregate over one table.
-- Buckets begin at a whole number of widths from 2000-01-03Z, as time_bucket's do.

-- How far each partition of each output topic is written into the tables: the fence of the sinks.
-- messages: how many those were; offsets have holes, and a ledger counts.
CREATE TABLE sink_positions (
  topic       text        NOT NULL,
  partition   integer     NOT NULL,
  next_offset bigint      NOT NULL,
  messages    bigint      NOT NULL DEFAULT 0,
  written_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic, partition)
);

-- Messages that the database (or the sink's parser) refused, with their place and the reason.
CREATE TABLE sink_errors (
  time           timestamptz NOT NULL DEFAULT now(),
  topic          text        NOT NULL,
  partition      integer     NOT NULL,
  "offset"       bigint      NOT NULL,
  error          text        NOT NULL,
  sqlstate       text,
  value          text        NOT NULL,
  value_encoding text        NOT NULL DEFAULT 'utf8',
  PRIMARY KEY (topic, partition, "offset")
);

-- Accepted readings of a meter by day (UTC) and partition, kept by whoever writes
-- validated_readings, in the same transaction: the dashboards would else read millions of rows.
-- Half of each page is free: a day's row is written over as the day goes on, and stays on its page.
CREATE TABLE readings_meter_daily (
  bucket           timestamptz      NOT NULL,
  meter_id         text COLLATE "C" NOT NULL,
  source_partition integer          NOT NULL,
  readings         integer          NOT NULL,
  late_readings    integer          NOT NULL,
  flagged_readings integer          NOT NULL,
  consumption_kwh  double precision NOT NULL,
  first_at         timestamptz      NOT NULL,
  last_at          timestamptz      NOT NULL,
  PRIMARY KEY (meter_id, bucket, source_partition)
) WITH (fillfactor = 50);
INSERT INTO readings_meter_daily
SELECT date_bin('1 day', time, timestamptz '2000-01-03 00:00:00+00'), meter_id, source_partition,
       count(*), count(*) FILTER (WHERE status = 'LATE'), count(*) FILTER (WHERE flags <> '{}'),
       sum(consumption_kwh), min(time), max(time)
FROM validated_readings GROUP BY 1, 2, 3;

-- Indexes: every one is paid for at each write. The large table gets block ranges (next to nothing)
-- and one over its few late rows; the others are small.
CREATE INDEX validated_readings_time ON validated_readings USING brin (time)
  WITH (pages_per_range = 32);
CREATE INDEX readings_meter_daily_bucket ON readings_meter_daily USING brin (bucket)
  WITH (pages_per_range = 32);
CREATE INDEX validated_readings_late ON validated_readings (time) WHERE status = 'LATE';
CREATE INDEX gap_alerts_open ON gap_alerts (missing_from) WHERE state = 'OPEN';
CREATE INDEX gap_alerts_detected ON gap_alerts (detected_at);
CREATE INDEX late_events_time ON late_events (time);
CREATE INDEX rejected_readings_time ON rejected_readings (time);
CREATE INDEX rejected_readings_meter ON rejected_readings (meter_id);

-- Gaps by the hour of their first missing slot, as they stand now. An OPEN gap counts with the
-- length last announced; gap_status has the length known now.
CREATE VIEW gap_summary_hourly AS
SELECT date_bin('1 hour', time, timestamptz '2000-01-03 00:00:00+00') AS bucket,
       meter_id, state,
       count(*)                AS gaps,
       sum(missing_intervals)  AS missing_intervals,
       sum(rejected_intervals) AS rejected_intervals,
       sum(gap_minutes)        AS gap_minutes,
       max(gap_minutes)        AS gap_minutes_max
FROM gap_alerts
GROUP BY 1, 2, 3;

-- Too-late readings by the hour in which they were judged (event time).
CREATE VIEW late_events_summary_hourly AS
SELECT date_bin('1 hour', time, timestamptz '2000-01-03 00:00:00+00') AS bucket,
       meter_id,
       count(*)             AS events,
       sum(delay_seconds)   AS delay_seconds_sum,
       min(delay_seconds)   AS delay_seconds_min,
       max(delay_seconds)   AS delay_seconds_max,
       sum(consumption_kwh) AS consumption_kwh
FROM late_events
GROUP BY 1, 2;

-- The pipeline's own figures by hour (event time), partition and tags.
CREATE VIEW metrics_summary_hourly AS
SELECT date_bin('1 hour', time, timestamptz '2000-01-03 00:00:00+00') AS bucket,
       metric_type, source_partition, tags,
       count(*)   AS samples,
       sum(value) AS value_sum,
       min(value) AS value_min,
       max(value) AS value_max
FROM metrics
GROUP BY 1, 2, 3, 4;

-- Accepted readings of a meter by day (UTC).
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

-- Accepted readings of the whole fleet by day (UTC) and partition.
CREATE VIEW readings_fleet_daily AS
SELECT bucket, source_partition,
       sum(readings)         AS readings,
       sum(late_readings)    AS late_readings,
       sum(flagged_readings) AS flagged_readings,
       sum(consumption_kwh)  AS consumption_kwh
FROM readings_meter_daily
GROUP BY 1, 2;

-- Gaps with their length as known now: up to the watermark while they are open.
CREATE VIEW gap_status AS
SELECT g.gap_id, g.meter_id, g.state, g.missing_from, k.known_to, g.missing_to,
       g.gap_minutes,
       (extract(epoch FROM k.known_to - g.missing_from) / 60)::double precision AS known_minutes,
       g.missing_intervals,
       -- An interval's length is the gap's over its intervals; what an open gap grew by is whole ones.
       CASE WHEN k.known_to > g.missing_to AND g.gap_minutes > 0
            THEN greatest(g.missing_intervals, floor(extract(epoch FROM k.known_to - g.missing_from)
                   / 60 * g.missing_intervals / g.gap_minutes)::integer)
            ELSE g.missing_intervals END AS known_intervals,
       g.rejected_intervals, g.detected_at, g.time, g.source_partition
FROM gap_alerts g
LEFT JOIN positions p ON p.partition = g.source_partition
CROSS JOIN LATERAL (
  SELECT CASE WHEN g.state = 'OPEN' THEN greatest(g.missing_to, p.watermark)
              ELSE g.missing_to END AS known_to
) AS k;

-- Missing slots of a meter by day (UTC): each slot counts on the day in which it begins. Most gaps lie
-- within a day; the others are spread over theirs.
CREATE VIEW missing_daily AS
WITH gap AS (
  SELECT meter_id, missing_from, known_intervals,
         date_bin('1 day', missing_from, timestamptz '2000-01-03 00:00:00+00') AS first_day,
         gap_minutes * 60 / missing_intervals AS step_seconds,
         missing_from + (known_intervals - 1) * (gap_minutes / missing_intervals)
           * interval '1 minute' AS last_slot
  FROM gap_status WHERE missing_intervals > 0 AND gap_minutes > 0
)
SELECT bucket, meter_id, sum(n)::bigint AS missing_intervals
FROM (
  SELECT first_day AS bucket, meter_id, known_intervals::double precision AS n
  FROM gap WHERE last_slot < first_day + interval '24 hours'
  UNION ALL
  SELECT d.day, meter_id,
         least(known_intervals, ceil(
           extract(epoch FROM d.day + interval '24 hours' - missing_from)::float8 / step_seconds))
         - greatest(0, ceil(
             extract(epoch FROM d.day - missing_from)::float8 / step_seconds))
  FROM gap CROSS JOIN LATERAL
       generate_series(first_day, last_slot, interval '24 hours') AS d (day)
  WHERE last_slot >= first_day + interval '24 hours'
) AS days
GROUP BY 1, 2;

-- Completeness of a meter by day (UTC): readings of the slots that should have one. Sums over
-- meters and days are sums of readings and expected_intervals, never means of percentages.
CREATE VIEW completeness_daily AS
SELECT bucket, meter_id,
       sum(readings)::bigint                     AS readings,
       sum(late_readings)::bigint                AS late_readings,
       sum(missing_intervals)::bigint            AS missing_intervals,
       sum(readings + missing_intervals)::bigint AS expected_intervals,
       CASE WHEN sum(readings + missing_intervals) > 0
            THEN (100 * sum(readings) / sum(readings + missing_intervals))::double precision
       END                                       AS completeness_percent,
       sum(consumption_kwh)                      AS consumption_kwh
FROM (
  SELECT bucket, meter_id, readings, late_readings, 0::bigint AS missing_intervals, consumption_kwh
  FROM readings_meter_daily
  UNION ALL
  SELECT bucket, meter_id, 0, 0, missing_intervals, 0 FROM missing_daily
) AS days
GROUP BY 1, 2;

-- The same of the whole fleet.
CREATE VIEW completeness_fleet_daily AS
SELECT bucket,
       sum(readings)::bigint                     AS readings,
       sum(late_readings)::bigint                AS late_readings,
       sum(flagged_readings)::bigint             AS flagged_readings,
       sum(missing_intervals)::bigint            AS missing_intervals,
       sum(readings + missing_intervals)::bigint AS expected_intervals,
       CASE WHEN sum(readings + missing_intervals) > 0
            THEN (100 * sum(readings) / sum(readings + missing_intervals))::double precision
       END                                       AS completeness_percent,
       sum(consumption_kwh)                      AS consumption_kwh
FROM (
  SELECT bucket, readings, late_readings, flagged_readings, 0::bigint AS missing_intervals,
         consumption_kwh
  FROM readings_fleet_daily
  UNION ALL
  SELECT bucket, 0, 0, 0, missing_intervals, 0 FROM missing_daily
) AS days
GROUP BY 1;

-- Meters with a reading in the last hours of event time: an archive's end is its "now". Which ones is
-- known by their days; their readings are found by the primary key, in whatever order they were
-- written.
CREATE FUNCTION get_active_meters(hours_back double precision DEFAULT 24)
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
    SELECT count(*) AS readings, max(v.time) AS last_at, sum(v.consumption_kwh) AS consumption_kwh
    FROM validated_readings v
    WHERE v.meter_id = a.meter_id AND v.time > (SELECT at FROM since)
  ) AS r
  ORDER BY a.meter_id
$$;
