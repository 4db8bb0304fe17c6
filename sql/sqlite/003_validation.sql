-- What rules of validation have found, one row a run or episode, as it stands now. "to" is the first slot
-- after it; value is the energy that failed, and "limit" the one that it was held against, in kWh.
CREATE TABLE validation_records (
  meter_id         TEXT    NOT NULL,
  channel          TEXT    NOT NULL DEFAULT '',
  rule             TEXT    NOT NULL,
  severity         TEXT    NOT NULL,
  "from"           TEXT    NOT NULL,
  "to"             TEXT    NOT NULL,
  slots            INTEGER NOT NULL,
  value            REAL    NOT NULL,
  "limit"          REAL,
  detail           TEXT    NOT NULL,
  source_partition INTEGER NOT NULL,
  source_offset    INTEGER NOT NULL,
  PRIMARY KEY (meter_id, channel, rule, "from", source_partition)
) STRICT, WITHOUT ROWID;
-- Times are put in order without their Z, see 002_views.sql.
CREATE INDEX validation_records_from ON validation_records (rtrim("from", 'Z'));
