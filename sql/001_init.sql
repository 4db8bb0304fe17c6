-- The tables of Gridwatch. Runs unchanged on PostgreSQL 15+, TimescaleDB and PGlite.
-- source_partition and source_offset name the raw record a row came from. Texts that are indexed are
-- compared byte by byte: by a language's rules, writing would cost a tenth more.

CREATE TABLE validated_readings (
  time             timestamptz      NOT NULL,
  meter_id         text COLLATE "C" NOT NULL,
  consumption_kwh  double precision NOT NULL,
  status           text             NOT NULL,
  flags            text[]           NOT NULL DEFAULT '{}',
  delay_seconds    double precision,
  source_partition integer          NOT NULL,
  source_offset    bigint           NOT NULL,
  PRIMARY KEY (meter_id, time, source_partition, source_offset)
);

-- One row a gap, as it stands now. time is the gap's first missing_from and never changes.
CREATE TABLE gap_alerts (
  time               timestamptz NOT NULL,
  meter_id           text COLLATE "C" NOT NULL,
  missing_from       timestamptz NOT NULL,
  missing_to         timestamptz NOT NULL,
  gap_minutes        double precision NOT NULL,
  missing_intervals  integer     NOT NULL,
  rejected_intervals integer     NOT NULL,
  state              text        NOT NULL,
  gap_id             text        NOT NULL,
  detected_at        timestamptz NOT NULL,
  source_partition   integer     NOT NULL,
  source_offset      bigint      NOT NULL,
  PRIMARY KEY (meter_id, time, source_partition)
);

-- time is when the reading was judged, in event time: event_timestamp + delay_seconds.
CREATE TABLE late_events (
  time             timestamptz      NOT NULL,
  meter_id         text COLLATE "C" NOT NULL,
  event_timestamp  timestamptz      NOT NULL,
  consumption_kwh  double precision NOT NULL,
  delay_seconds    double precision NOT NULL,
  source_partition integer          NOT NULL,
  source_offset    bigint           NOT NULL,
  PRIMARY KEY (meter_id, time, source_partition, source_offset)
);

-- time is the record's own timestamp where it can be believed, else the clock it was judged by.
CREATE TABLE rejected_readings (
  time             timestamptz NOT NULL,
  reason           text        NOT NULL,
  detail           text        NOT NULL,
  raw              text        NOT NULL,
  raw_encoding     text        NOT NULL DEFAULT 'utf8',
  meter_id         text COLLATE "C",
  event_timestamp  timestamptz,
  consumption_kwh  double precision,
  source_partition integer     NOT NULL,
  source_offset    bigint      NOT NULL,
  PRIMARY KEY (source_partition, source_offset, time)
);

CREATE TABLE metrics (
  time             timestamptz      NOT NULL,
  metric_type      text COLLATE "C" NOT NULL,
  meter_id         text COLLATE "C",
  value            double precision NOT NULL,
  tags             jsonb            NOT NULL DEFAULT '{}',
  source_partition integer          NOT NULL,
  source_offset    bigint           NOT NULL
);
CREATE INDEX metrics_type_time ON metrics (metric_type, time);

CREATE TABLE ledger (
  partition integer PRIMARY KEY,
  raw       bigint NOT NULL,
  ok        bigint NOT NULL,
  late      bigint NOT NULL,
  too_late  bigint NOT NULL,
  duplicate bigint NOT NULL,
  rejected  bigint NOT NULL,
  tick      bigint NOT NULL
);

-- How far a partition is read, and its watermark (null until a reading or a tick came).
CREATE TABLE positions (
  partition   integer PRIMARY KEY,
  next_offset bigint      NOT NULL,
  watermark   timestamptz
);

-- Which missing slots a too-late reading later covered.
CREATE VIEW gap_recovery AS
SELECT g.gap_id, g.meter_id, g.missing_from, g.missing_to, g.state,
       l.event_timestamp AS recovered_slot, l.consumption_kwh, l.delay_seconds
FROM gap_alerts g
JOIN late_events l
  ON l.meter_id = g.meter_id
 AND l.event_timestamp >= g.missing_from
 AND l.event_timestamp <  g.missing_to;
