-- Estimates of missing readings, as `gridwatch estimate` makes them: measured values are never written
-- over. Runs unchanged on PostgreSQL 15+, TimescaleDB and PGlite. method is LINEAR or PROFILE; code is
-- CIM's quality (IEC 61968-9); withdrawn: a reading has come since, or the slot is no longer estimated.
CREATE TABLE estimated_readings (
  meter_id        text COLLATE "C"  NOT NULL,
  channel         text COLLATE "C"  NOT NULL DEFAULT '',
  time            timestamptz       NOT NULL,
  consumption_kwh double precision  NOT NULL,
  method          text              NOT NULL,
  code            text              NOT NULL,
  gap_id          text              NOT NULL,
  withdrawn       boolean           NOT NULL,
  PRIMARY KEY (meter_id, channel, time)
);
CREATE INDEX estimated_readings_time ON estimated_readings (time);

-- Gaps that were not estimated, and why: NO_HISTORY, or TOO_LONG (14 days).
CREATE TABLE estimate_refusals (
  gap_id   text PRIMARY KEY,
  meter_id text COLLATE "C" NOT NULL,
  channel  text COLLATE "C" NOT NULL DEFAULT '',
  "from"   timestamptz NOT NULL,
  "to"     timestamptz NOT NULL,
  reason   text        NOT NULL
);
