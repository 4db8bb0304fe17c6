-- Shared outages: gaps of several meters of a group that start together are one incident. Runs
-- unchanged on PostgreSQL 15+, TimescaleDB and PGlite.
-- Columns named _ms are milliseconds since 1970-01-01 UTC: they are counted with.

-- The registry: which meters are expected, in which group, how often. A version holds from in_force on;
-- of a meter's versions that are in force the last one does.
CREATE TABLE meters (
  meter_id         text COLLATE "C" NOT NULL,
  channel          text COLLATE "C" NOT NULL DEFAULT '',
  version          integer          NOT NULL,
  in_force         timestamptz      NOT NULL,
  group_id         text COLLATE "C",
  interval_minutes double precision,
  timezone         text,
  active_from      timestamptz,
  active_to        timestamptz,
  direction        text,
  max_kw           double precision,
  PRIMARY KEY (meter_id, channel, version)
);
CREATE INDEX meters_group ON meters (group_id);

-- Where each gap starts, kept with gap_alerts in the same transaction. slot_ms is its first missing
-- slot as it stands now, announced_ms the one that was told of first, both on the grid of whole
-- intervals, so that meters whose clocks differ a little start together. step_ms is an interval, 0
-- where it is not known; is_missing is 0 once late readings took all of its slots; end_ms is the first
-- slot after it, null while it goes on. The group is the meter's when the gap was first told of.
CREATE TABLE gap_starts (
  meter_id         text COLLATE "C" NOT NULL,
  gap_id           text COLLATE "C" NOT NULL,
  source_partition integer          NOT NULL,
  source_offset    bigint           NOT NULL,
  group_id         text COLLATE "C" NOT NULL,
  slot_ms          bigint           NOT NULL,
  announced_ms     bigint           NOT NULL,
  step_ms          bigint           NOT NULL,
  is_missing       integer          NOT NULL,
  end_ms           bigint,
  PRIMARY KEY (meter_id, gap_id, source_partition)
);
CREATE INDEX gap_starts_group ON gap_starts (group_id, slot_ms);
CREATE INDEX gap_starts_slot ON gap_starts (slot_ms);

INSERT INTO gap_starts
SELECT meter_id, gap_id, source_partition, source_offset, 'fleet',
       CASE WHEN step_ms = 0 THEN start_ms ELSE (start_ms + step_ms / 2) / step_ms * step_ms END,
       CASE WHEN step_ms = 0 THEN told_ms ELSE (told_ms + step_ms / 2) / step_ms * step_ms END,
       step_ms, CASE WHEN state = 'FILLED' THEN 0 ELSE 1 END,
       CASE WHEN state IN ('CLOSED', 'FILLED') THEN round(extract(epoch FROM missing_to) * 1000)::bigint END
FROM (
  SELECT *, round(extract(epoch FROM missing_from) * 1000)::bigint AS start_ms,
         round(extract(epoch FROM time) * 1000)::bigint AS told_ms,
         CASE WHEN missing_intervals > 0
              THEN round(gap_minutes * 60000 / missing_intervals)::bigint ELSE 0 END AS step_ms
  FROM gap_alerts
) AS g;

-- One row an incident, as it stands now. "from" is the slot in which its gaps start, "to" the first slot
-- in which fewer than needed of its meters are still missing, null while it is OPEN. meters: those
-- whose gaps start in that slot or the next; expected: those of the group that could start one.
CREATE TABLE incidents (
  incident_id text COLLATE "C" PRIMARY KEY,
  group_id    text COLLATE "C" NOT NULL,
  "from"      timestamptz      NOT NULL,
  "to"        timestamptz,
  state       text             NOT NULL,
  meters      integer          NOT NULL,
  expected    integer          NOT NULL,
  needed      integer          NOT NULL,
  part_of     text COLLATE "C",
  slot_ms     bigint           NOT NULL,
  next_ms     bigint           NOT NULL
);
CREATE INDEX incidents_slot ON incidents (slot_ms);
CREATE INDEX incidents_group ON incidents (group_id, slot_ms);

-- Whose gaps an incident is made of.
CREATE VIEW incident_meters AS
SELECT i.incident_id, s.meter_id, s.gap_id, s.source_partition
FROM incidents i
JOIN gap_starts s ON s.group_id = i.group_id AND s.slot_ms IN (i.slot_ms, i.next_ms)
WHERE i.state <> 'WITHDRAWN' AND s.is_missing = 1;

-- Meters whose gaps start in the same slot time and again: they hang on the same thing.
CREATE VIEW meters_failing_together AS
SELECT a.meter_id, b.meter_id AS other_meter_id, count(DISTINCT a.slot_ms) AS times,
       to_timestamp(min(a.slot_ms) / 1000.0) AS first_at, to_timestamp(max(a.slot_ms) / 1000.0) AS last_at
FROM gap_starts a
JOIN gap_starts b ON b.slot_ms = a.slot_ms AND b.meter_id > a.meter_id
WHERE a.is_missing = 1 AND b.is_missing = 1
GROUP BY a.meter_id, b.meter_id
HAVING count(DISTINCT a.slot_ms) >= 2;

-- Gaps as they stand, and of which incident they are a part.
DO $$
BEGIN
  EXECUTE 'CREATE OR REPLACE VIEW gap_status AS SELECT g.*, (
      SELECT i.incident_id
      FROM gap_starts s
      JOIN incidents i ON i.group_id = s.group_id AND s.slot_ms IN (i.slot_ms, i.next_ms)
      WHERE s.meter_id = g.meter_id AND s.gap_id = g.gap_id AND s.is_missing = 1
        AND s.source_partition = g.source_partition AND i.state <> ''WITHDRAWN''
      ORDER BY i.slot_ms LIMIT 1
    ) AS incident_id
    FROM (' || rtrim(pg_get_viewdef('gap_status'), '; ') || ') AS g';
END
$$;

-- When a reading arrived at the head end, where its record says so: latency and timeliness are counted
-- from it.
ALTER TABLE validated_readings ADD COLUMN received_at timestamptz;

-- The newest value of each slot.
CREATE OR REPLACE VIEW readings_current AS
SELECT v.* FROM validated_readings v
WHERE NOT EXISTS (
  SELECT 1 FROM revisions r
  WHERE r.source_partition = v.source_partition AND r.revised_offset = v.source_offset
);

-- The registry as it is in force now.
CREATE VIEW meters_current AS
SELECT m.* FROM meters m
WHERE NOT EXISTS (
  SELECT 1 FROM meters n
  WHERE n.meter_id = m.meter_id AND n.channel = m.channel AND n.version > m.version
);

-- What the KPIs are counted from (src/tables/kpi.ts). Parts to be added up: a meter's day is in several
-- rows. Valid is an accepted reading without the flags NEGATIVE and CAPACITY; a reading behind where
-- slots are judged is not expected yet.
CREATE VIEW kpi_slots AS
SELECT d.bucket, d.meter_id,
       (d.readings - d.revised_readings - coalesce((d.last_at > p.judged_to)::integer, 0))::bigint AS valid,
       (d.readings - d.revised_readings - coalesce((d.last_at > p.judged_to)::integer, 0))::bigint AS expected,
       d.consumption_kwh AS valid_kwh
FROM readings_meter_daily d LEFT JOIN positions p ON p.partition = d.source_partition
UNION ALL
SELECT bucket, meter_id, 0, missing_intervals, 0 FROM missing_daily
UNION ALL
SELECT d.bucket, d.meter_id, -1, 0, -v.consumption_kwh
FROM readings_meter_daily d
JOIN validated_readings v ON v.meter_id = d.meter_id AND v.source_partition = d.source_partition
 AND v.time >= d.bucket AND v.time < d.bucket + interval '24 hours'
WHERE d.flagged_readings > 0 AND v.flags && ARRAY['NEGATIVE', 'CAPACITY'];

-- Gaps by the day on which they begin; minutes_to_recover of those that are over: of one that late readings
-- filled nothing is missing, and it took no time.
CREATE VIEW kpi_gaps AS
SELECT date_trunc('day', missing_from, 'UTC') AS bucket, meter_id, state, silence,
       CASE WHEN state IN ('CLOSED', 'FILLED') THEN nullif(gap_minutes, 0) END AS minutes_to_recover
FROM gap_status;

-- How long the interval of each meter is: by the registry, by its gaps, or by its fullest day.
CREATE VIEW meter_intervals AS
SELECT d.meter_id,
       coalesce(60 * min(r.interval_minutes), min(s.step_ms) / 1000.0,
                86400.0 / nullif(max(d.readings - d.revised_readings), 0))::double precision AS interval_seconds
FROM readings_meter_daily d
LEFT JOIN meters_current r ON r.meter_id = d.meter_id
LEFT JOIN (
  SELECT meter_id, min(step_ms) AS step_ms FROM gap_starts WHERE step_ms > 0 GROUP BY meter_id
) AS s ON s.meter_id = d.meter_id
GROUP BY d.meter_id;

-- When readings arrived whose arrival is known: that they were late tells it, too. Since the end of their
-- interval, where their record says when; and since the end of their day (UTC), to which it is negative.
CREATE VIEW kpi_arrivals AS
SELECT v.time, date_trunc('day', v.time, 'UTC') AS bucket, v.meter_id,
       (extract(epoch FROM v.received_at - v.time) - i.interval_seconds)::double precision AS latency_seconds,
       extract(epoch FROM coalesce(v.received_at, v.time + v.delay_seconds * interval '1 second')
         - date_trunc('day', v.time, 'UTC') - interval '24 hours')::double precision AS seconds_after_day
FROM validated_readings v LEFT JOIN meter_intervals i ON i.meter_id = v.meter_id
WHERE (v.received_at IS NOT NULL OR v.delay_seconds IS NOT NULL)
  AND NOT v.flags && ARRAY['NEGATIVE', 'CAPACITY'];
