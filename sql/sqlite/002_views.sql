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
