-- Shared outages: gaps of several meters of a group that start together are one incident. What the tables
-- are for is told in sql/010_incidents.sql. Columns named _ms are milliseconds since 1970-01-01 UTC.

CREATE TABLE meters (
  meter_id         TEXT    NOT NULL,
  channel          TEXT    NOT NULL DEFAULT '',
  version          INTEGER NOT NULL,
  in_force         TEXT    NOT NULL,
  group_id         TEXT,
  interval_minutes REAL,
  timezone         TEXT,
  active_from      TEXT,
  active_to        TEXT,
  direction        TEXT,
  max_kw           REAL,
  PRIMARY KEY (meter_id, channel, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX meters_group ON meters (group_id);

CREATE TABLE gap_starts (
  meter_id         TEXT    NOT NULL,
  gap_id           TEXT    NOT NULL,
  source_partition INTEGER NOT NULL,
  source_offset    INTEGER NOT NULL,
  group_id         TEXT    NOT NULL,
  slot_ms          INTEGER NOT NULL,
  announced_ms     INTEGER NOT NULL,
  step_ms          INTEGER NOT NULL,
  is_missing       INTEGER NOT NULL,
  end_ms           INTEGER,
  PRIMARY KEY (meter_id, gap_id, source_partition)
) STRICT, WITHOUT ROWID;
CREATE INDEX gap_starts_group ON gap_starts (group_id, slot_ms);
CREATE INDEX gap_starts_slot ON gap_starts (slot_ms);

INSERT INTO gap_starts
SELECT meter_id, gap_id, source_partition, source_offset, 'fleet',
       CASE WHEN step_ms = 0 THEN start_ms ELSE (start_ms + step_ms / 2) / step_ms * step_ms END,
       CASE WHEN step_ms = 0 THEN told_ms ELSE (told_ms + step_ms / 2) / step_ms * step_ms END,
       step_ms, CASE WHEN state = 'FILLED' THEN 0 ELSE 1 END,
       CASE WHEN state IN ('CLOSED', 'FILLED')
            THEN CAST(round((julianday(missing_to) - 2440587.5) * 86400000) AS INTEGER) END
FROM (
  SELECT *, CAST(round((julianday(missing_from) - 2440587.5) * 86400000) AS INTEGER) AS start_ms,
         CAST(round((julianday(time) - 2440587.5) * 86400000) AS INTEGER) AS told_ms,
         CASE WHEN missing_intervals > 0
              THEN CAST(round(gap_minutes * 60000 / missing_intervals) AS INTEGER) ELSE 0 END AS step_ms
  FROM gap_alerts
);

CREATE TABLE incidents (
  incident_id TEXT    PRIMARY KEY,
  group_id    TEXT    NOT NULL,
  "from"      TEXT    NOT NULL,
  "to"        TEXT,
  state       TEXT    NOT NULL,
  meters      INTEGER NOT NULL,
  expected    INTEGER NOT NULL,
  needed      INTEGER NOT NULL,
  part_of     TEXT,
  slot_ms     INTEGER NOT NULL,
  next_ms     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX incidents_slot ON incidents (slot_ms);
CREATE INDEX incidents_group ON incidents (group_id, slot_ms);

CREATE VIEW incident_meters AS
SELECT i.incident_id, s.meter_id, s.gap_id, s.source_partition
FROM incidents i
JOIN gap_starts s ON s.group_id = i.group_id AND s.slot_ms IN (i.slot_ms, i.next_ms)
WHERE i.state <> 'WITHDRAWN' AND s.is_missing = 1;

CREATE VIEW meters_failing_together AS
SELECT a.meter_id, b.meter_id AS other_meter_id, count(DISTINCT a.slot_ms) AS times,
       strftime('%Y-%m-%dT%H:%M:%SZ', min(a.slot_ms) / 1000, 'unixepoch') AS first_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', max(a.slot_ms) / 1000, 'unixepoch') AS last_at
FROM gap_starts a
JOIN gap_starts b ON b.slot_ms = a.slot_ms AND b.meter_id > a.meter_id
WHERE a.is_missing = 1 AND b.is_missing = 1
GROUP BY a.meter_id, b.meter_id
HAVING count(DISTINCT a.slot_ms) >= 2;

-- Gaps as they stand, with the incident that each is a part of; else as in 002_views.sql.
DROP VIEW gap_status;
CREATE VIEW gap_status AS
SELECT g.gap_id, g.meter_id, g.state, missing_from, known_to, missing_to, gap_minutes,
       round((julianday(known_to) - julianday(missing_from)) * 86400, 3) / 60 AS known_minutes,
       missing_intervals,
       CASE WHEN goes_on AND judged_ms >= 0 AND gap_ms > 0
            THEN missing_intervals + judged_ms * missing_intervals / gap_ms + 1
            ELSE missing_intervals END AS known_intervals,
       rejected_intervals, detected_at, time, source_partition, filled_intervals, silence, (
         SELECT i.incident_id
         FROM gap_starts s
         JOIN incidents i ON i.group_id = s.group_id AND s.slot_ms IN (i.slot_ms, i.next_ms)
         WHERE s.meter_id = g.meter_id AND s.gap_id = g.gap_id AND s.is_missing = 1
           AND s.source_partition = g.source_partition AND i.state <> 'WITHDRAWN'
         ORDER BY i.slot_ms LIMIT 1
       ) AS incident_id, channel
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
) AS g;

-- Accepted readings, with when each arrived at the head end, where its record says so: the seventh value
-- of a slot, in seconds since the day began. Else as in 002_views.sql.
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
       d.channel                                              AS channel
FROM reading_days AS d, json_each(d.slots) AS s;

CREATE VIEW validated_readings AS
SELECT time, meter_id, consumption_kwh, status, flags, delay_seconds, source_partition,
       source_offset, revises_kwh, received_at, channel
FROM readings_by_day;

CREATE VIEW meters_current AS
SELECT m.* FROM meters m
WHERE NOT EXISTS (
  SELECT 1 FROM meters n
  WHERE n.meter_id = m.meter_id AND n.channel = m.channel AND n.version > m.version
);

-- What the KPIs are counted from, see sql/010_incidents.sql.
CREATE VIEW kpi_slots AS
SELECT strftime('%Y-%m-%dT00:00:00Z', d.day * 86400, 'unixepoch') AS bucket, d.meter_id AS meter_id,
       d.readings - d.revised_readings - coalesce(d.day * 86400000 + d.last_ms
         > round((julianday(p.judged_to) - 2440587.5) * 86400000), 0) AS valid,
       d.readings - d.revised_readings - coalesce(d.day * 86400000 + d.last_ms
         > round((julianday(p.judged_to) - 2440587.5) * 86400000), 0) AS expected,
       d.consumption_mwh / 1e6 AS valid_kwh
FROM meter_days d LEFT JOIN positions p ON p.partition = d.source_partition
UNION ALL
SELECT bucket, meter_id, 0, missing_intervals, 0 FROM missing_daily
UNION ALL
SELECT strftime('%Y-%m-%dT00:00:00Z', d.day * 86400, 'unixepoch'), d.meter_id, -1, 0, -r.consumption_kwh
FROM meter_days d CROSS JOIN readings_by_day r
  ON r.day = d.day AND r.meter_id = d.meter_id AND r.channel = d.channel
 AND r.source_partition = d.source_partition
WHERE d.flagged_readings > 0
  AND EXISTS (SELECT 1 FROM json_each(r.flags) WHERE value IN ('NEGATIVE', 'CAPACITY'));

CREATE VIEW kpi_gaps AS
SELECT substr(missing_from, 1, 10) || 'T00:00:00Z' AS bucket, meter_id, state, silence,
       CASE WHEN state IN ('CLOSED', 'FILLED') THEN nullif(gap_minutes, 0) END AS minutes_to_recover
FROM gap_status;

CREATE VIEW meter_intervals AS
SELECT d.meter_id AS meter_id,
       coalesce(60 * min(r.interval_minutes), min(s.step_ms) / 1000.0,
                86400.0 / nullif(max(d.readings - d.revised_readings), 0)) AS interval_seconds
FROM meter_days d
LEFT JOIN meters_current r ON r.meter_id = d.meter_id
LEFT JOIN (
  SELECT meter_id, min(step_ms) AS step_ms FROM gap_starts WHERE step_ms > 0 GROUP BY meter_id
) AS s ON s.meter_id = d.meter_id
GROUP BY d.meter_id;

CREATE VIEW kpi_arrivals AS
SELECT v.time AS time, strftime('%Y-%m-%dT00:00:00Z', v.day * 86400, 'unixepoch') AS bucket, v.meter_id AS meter_id,
       round((julianday(v.received_at) - julianday(v.time)) * 86400, 3) - i.interval_seconds AS latency_seconds,
       round(coalesce((julianday(v.received_at) - 2440587.5) * 86400,
                      (julianday(v.time) - 2440587.5) * 86400 + v.delay_seconds)
             - (v.day + 1) * 86400, 3) AS seconds_after_day
FROM readings_by_day v LEFT JOIN meter_intervals i ON i.meter_id = v.meter_id
WHERE (v.received_at IS NOT NULL OR v.delay_seconds IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM json_each(v.flags) WHERE value IN ('NEGATIVE', 'CAPACITY'));
