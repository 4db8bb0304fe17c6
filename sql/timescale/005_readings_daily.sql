-- TimescaleDB under the Timescale licence: a meter's day is its sums, as on PostgreSQL. An aggregate of the
-- readings would count what a revision replaces twice, and forget what retention drops.
DROP MATERIALIZED VIEW readings_daily;
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
