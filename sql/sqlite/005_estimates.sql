-- Estimates of missing readings, as `gridwatch estimate` makes them: measured values are never written
-- over. method is LINEAR or PROFILE; code is CIM's quality (IEC 61968-9); withdrawn is 1 where a reading
-- has come since, or the slot is no longer estimated.
CREATE TABLE estimated_readings (
  meter_id        TEXT    NOT NULL,
  channel         TEXT    NOT NULL DEFAULT '',
  time            TEXT    NOT NULL,
  consumption_kwh REAL    NOT NULL,
  method          TEXT    NOT NULL,
  code            TEXT    NOT NULL,
  gap_id          TEXT    NOT NULL,
  withdrawn       INTEGER NOT NULL,
  PRIMARY KEY (meter_id, channel, time)
) STRICT, WITHOUT ROWID;
CREATE INDEX estimated_readings_time ON estimated_readings (rtrim(time, 'Z'));

-- Gaps that were not estimated, and why: NO_HISTORY, or TOO_LONG (14 days).
CREATE TABLE estimate_refusals (
  gap_id   TEXT PRIMARY KEY,
  meter_id TEXT NOT NULL,
  channel  TEXT NOT NULL DEFAULT '',
  "from"   TEXT NOT NULL,
  "to"     TEXT NOT NULL,
  reason   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
