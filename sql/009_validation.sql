-- What rules of validation have found, one row a run or episode, as it stands now. Runs unchanged on
-- PostgreSQL 15+, TimescaleDB and PGlite. "to" is the first slot after it; value is the energy that
-- failed, and "limit" the one that it was held against, in kWh. channel is a meter's register; empty
-- where it has only one.
CREATE TABLE validation_records (
  meter_id         text COLLATE "C"  NOT NULL,
  channel          text COLLATE "C"  NOT NULL DEFAULT '',
  rule             text COLLATE "C"  NOT NULL,
  severity         text              NOT NULL,
  "from"           timestamptz       NOT NULL,
  "to"             timestamptz       NOT NULL,
  slots            integer           NOT NULL,
  value            double precision  NOT NULL,
  "limit"          double precision,
  detail           text              NOT NULL,
  source_partition integer           NOT NULL,
  source_offset    bigint            NOT NULL,
  PRIMARY KEY (meter_id, channel, rule, "from", source_partition)
);
CREATE INDEX validation_records_from ON validation_records ("from");
