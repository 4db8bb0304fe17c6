-- The quality code that a reading was delivered with, as it came: the eighth of what `slots` holds of it.
DROP VIEW validated_readings;
DROP VIEW readings_by_day;
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
       CASE typeof(s.value ->> 6)
         WHEN 'integer'
         THEN strftime('%Y-%m-%dT%H:%M:%SZ', d.day * 86400 + (s.value ->> 6), 'unixepoch')
         WHEN 'real'
         THEN strftime('%Y-%m-%dT%H:%M:%fZ', d.day * 86400 + (s.value ->> 6), 'unixepoch')
       END                                                    AS received_at,
       CAST(s.value ->> 7 AS TEXT)                            AS quality,
       d.channel                                              AS channel
FROM reading_days AS d, json_each(d.slots) AS s;

CREATE VIEW validated_readings AS
SELECT time, meter_id, consumption_kwh, status, flags, delay_seconds, source_partition,
       source_offset, revises_kwh, received_at, quality, channel
FROM readings_by_day;
