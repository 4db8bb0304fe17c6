-- TimescaleDB under the Timescale licence: the views that are one aggregate over one table become
-- continuous aggregates of the same columns. materialized_only = false: what is not materialised yet
-- is computed as it is read. completeness_daily needs none: its sums are kept with the readings.
DROP VIEW readings_daily;
DROP VIEW gap_summary_hourly;
DROP VIEW late_events_summary_hourly;
DROP VIEW metrics_summary_hourly;

CREATE MATERIALIZED VIEW gap_summary_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket(INTERVAL '1 hour', time) AS bucket,
       meter_id, state,
       count(*)                AS gaps,
       sum(missing_intervals)  AS missing_intervals,
       sum(rejected_intervals) AS rejected_intervals,
       sum(gap_minutes)        AS gap_minutes,
       max(gap_minutes)        AS gap_minutes_max
FROM gap_alerts
GROUP BY 1, 2, 3
WITH NO DATA;

CREATE MATERIALIZED VIEW late_events_summary_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket(INTERVAL '1 hour', time) AS bucket,
       meter_id,
       count(*)             AS events,
       sum(delay_seconds)   AS delay_seconds_sum,
       min(delay_seconds)   AS delay_seconds_min,
       max(delay_seconds)   AS delay_seconds_max,
       sum(consumption_kwh) AS consumption_kwh
FROM late_events
GROUP BY 1, 2
WITH NO DATA;

CREATE MATERIALIZED VIEW metrics_summary_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket(INTERVAL '1 hour', time) AS bucket,
       metric_type, source_partition, tags,
       count(*)   AS samples,
       sum(value) AS value_sum,
       min(value) AS value_min,
       max(value) AS value_max
FROM metrics
GROUP BY 1, 2, 3, 4
WITH NO DATA;

CREATE MATERIALIZED VIEW readings_daily
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket(INTERVAL '1 day', time) AS bucket,
       meter_id,
       count(*)                                AS readings,
       count(*) FILTER (WHERE status = 'LATE') AS late_readings,
       count(*) FILTER (WHERE flags <> '{}')   AS flagged_readings,
       sum(consumption_kwh)                    AS consumption_kwh,
       min(time)                               AS first_at,
       max(time)                               AS last_at
FROM validated_readings
GROUP BY 1, 2
WITH NO DATA;
