-- The embedded store. Its views have the names and the columns of the tables on PostgreSQL, and can be
-- read by any SQLite tool: they need no function of ours.
-- A time is ISO 8601 text in UTC, `2013-01-01T00:30:00Z`, with milliseconds only where it has some.
-- source_partition and source_offset name the raw record a row came from.
-- channel is a meter's register; empty where it has only one.

-- Whose file this is, and who writes it. boot names the start of the machine under which it was opened
-- for writing, and is null once it was closed: a file that was not closed is checked under another.
CREATE TABLE store (
  one     INTEGER PRIMARY KEY CHECK (one = 1),
  id      TEXT    NOT NULL,
  writer  TEXT    NOT NULL,
  process INTEGER NOT NULL,
  boot    TEXT
) STRICT;

-- The accepted readings of a meter's day (UTC). A row holds what the meter sent for that day:
-- slots is a JSON array of readings, each [second of the day, kWh, source_offset], and behind that, where
-- there are any, the delay in seconds (null: it was on time), the flags, and the value in kWh that the
-- reading replaces.
-- By day first: what comes together lies together.
CREATE TABLE reading_days (
  day              INTEGER NOT NULL, -- since 1970-01-01
  meter_id         TEXT    NOT NULL,
  channel          TEXT    NOT NULL DEFAULT '',
  source_partition INTEGER NOT NULL,
  slots            TEXT    NOT NULL,
  PRIMARY KEY (day, meter_id, channel, source_partition)
) STRICT, WITHOUT ROWID;

-- The same readings added up: questions about days and months need not read the slots.
-- Milliwatt-hours are whole, so their sum does not depend on the order in which readings came; of a
-- revision they are what it changes. Offsets are those of the latest raw records, of any reading and of a
-- late one; -1: there is none.
CREATE TABLE meter_days (
  day              INTEGER NOT NULL,
  meter_id         TEXT    NOT NULL,
  channel          TEXT    NOT NULL DEFAULT '',
  source_partition INTEGER NOT NULL,
  readings         INTEGER NOT NULL,
  late_readings    INTEGER NOT NULL,
  flagged_readings INTEGER NOT NULL,
  consumption_mwh  INTEGER NOT NULL,
  first_ms         INTEGER NOT NULL, -- of the day
  last_ms          INTEGER NOT NULL,
  revised_readings INTEGER NOT NULL, -- that replace another; part of readings
  last_offset      INTEGER NOT NULL,
  last_late_offset INTEGER NOT NULL,
  PRIMARY KEY (day, meter_id, channel, source_partition)
) STRICT, WITHOUT ROWID;

-- The days of a meter added up: a question about all meters reads a row of each.
CREATE TABLE meter_totals (
  meter_id         TEXT    NOT NULL,
  channel          TEXT    NOT NULL DEFAULT '',
  source_partition INTEGER NOT NULL,
  readings         INTEGER NOT NULL,
  late_readings    INTEGER NOT NULL,
  flagged_readings INTEGER NOT NULL,
  first_ms         INTEGER NOT NULL, -- since 1970-01-01
  last_ms          INTEGER NOT NULL,
  revised_readings INTEGER NOT NULL,
  last_offset      INTEGER NOT NULL,
  last_late_offset INTEGER NOT NULL,
  PRIMARY KEY (meter_id, channel, source_partition)
) STRICT, WITHOUT ROWID;

-- The accepted readings that came late, once more: they are few, and asked for by themselves.
CREATE TABLE late_readings (
  time             TEXT    NOT NULL,
  meter_id         TEXT    NOT NULL,
  consumption_kwh  REAL    NOT NULL,
  delay_seconds    REAL    NOT NULL,
  source_partition INTEGER NOT NULL,
  source_offset    INTEGER NOT NULL,
  channel          TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (time, source_partition, source_offset)
) STRICT, WITHOUT ROWID;

-- One row a gap, as it stands now. time is the gap's first missing_from and never changes.
CREATE TABLE gap_alerts (
  time               TEXT    NOT NULL,
  meter_id           TEXT    NOT NULL,
  missing_from       TEXT    NOT NULL,
  missing_to         TEXT    NOT NULL,
  gap_minutes        REAL    NOT NULL,
  missing_intervals  INTEGER NOT NULL,
  rejected_intervals INTEGER NOT NULL,
  state              TEXT    NOT NULL,
  gap_id             TEXT    NOT NULL,
  detected_at        TEXT    NOT NULL,
  source_partition   INTEGER NOT NULL,
  source_offset      INTEGER NOT NULL,
  filled_intervals   INTEGER, -- of a FILLED gap: the most slots that it ever had
  channel            TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (meter_id, channel, time, source_partition)
) STRICT, WITHOUT ROWID;

-- time is when the reading was judged, in event time: event_timestamp + delay_seconds.
CREATE TABLE late_events (
  time             TEXT    NOT NULL,
  meter_id         TEXT    NOT NULL,
  event_timestamp  TEXT    NOT NULL,
  consumption_kwh  REAL    NOT NULL,
  delay_seconds    REAL    NOT NULL,
  source_partition INTEGER NOT NULL,
  source_offset    INTEGER NOT NULL,
  channel          TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (source_partition, source_offset)
) STRICT, WITHOUT ROWID;

-- time is the record's own timestamp where it can be believed, else the clock it was judged by.
-- source is where its row came from; slot and held_kwh are, of a repeat, the interval that is taken and
-- the value that holds it.
CREATE TABLE rejected_readings (
  time             TEXT    NOT NULL,
  reason           TEXT    NOT NULL,
  detail           TEXT    NOT NULL,
  raw              TEXT    NOT NULL,
  raw_encoding     TEXT    NOT NULL DEFAULT 'utf8',
  meter_id         TEXT,
  event_timestamp  TEXT,
  consumption_kwh  REAL,
  source_partition INTEGER NOT NULL,
  source_offset    INTEGER NOT NULL,
  source           TEXT,
  slot             TEXT,
  held_kwh         REAL,
  channel          TEXT    NOT NULL DEFAULT '',
  UNIQUE (source_partition, source_offset)
) STRICT;

CREATE TABLE metrics (
  time             TEXT    NOT NULL,
  metric_type      TEXT    NOT NULL,
  meter_id         TEXT,
  value            REAL    NOT NULL,
  tags             TEXT    NOT NULL DEFAULT '{}',
  source_partition INTEGER NOT NULL,
  source_offset    INTEGER NOT NULL
) STRICT;

CREATE TABLE ledger (
  partition INTEGER PRIMARY KEY,
  raw       INTEGER NOT NULL,
  ok        INTEGER NOT NULL,
  late      INTEGER NOT NULL,
  too_late  INTEGER NOT NULL,
  duplicate INTEGER NOT NULL,
  rejected  INTEGER NOT NULL,
  tick      INTEGER NOT NULL
) STRICT;

-- How far a partition is read, its watermark (null until a reading or a tick came), and up to where its
-- slots are judged: grace_period_seconds before it.
CREATE TABLE positions (
  partition   INTEGER PRIMARY KEY,
  next_offset INTEGER NOT NULL,
  watermark   TEXT,
  judged_to   TEXT
) STRICT;

CREATE TABLE task_state (
  partition INTEGER PRIMARY KEY,
  state     BLOB NOT NULL
) STRICT;

-- Changed meter states, one payload a commit, folded into one from time to time.
CREATE TABLE state_changelog (
  partition   INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,
  part        INTEGER NOT NULL,
  payload     BLOB    NOT NULL,
  PRIMARY KEY (partition, next_offset, part)
) STRICT;

-- One row a replayed input. The row with finished = 0 is the one to resume.
CREATE TABLE inputs (
  id           INTEGER PRIMARY KEY,
  fingerprint  TEXT    NOT NULL,
  description  TEXT    NOT NULL,
  base_offsets TEXT    NOT NULL, -- JSON, one a partition
  now_at       TEXT    NOT NULL,
  finished     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the rows of a table come to, by partition and day: how many, and the sum of their hashes
-- (src/tables/digest.ts), changed in the transaction that changes the rows. A table that is not kept by
-- day has one row, day -1; one that is not kept by partition has source_partition -1.
CREATE TABLE digests (
  table_name       TEXT    NOT NULL,
  source_partition INTEGER NOT NULL,
  day              INTEGER NOT NULL,
  rows             INTEGER NOT NULL,
  low              INTEGER NOT NULL,
  high             INTEGER NOT NULL,
  PRIMARY KEY (table_name, source_partition, day)
) STRICT, WITHOUT ROWID;

-- Rows that retention has dropped, by partition: the ledger counts them for ever. No row of a day before
-- before_day is there, but its daily sums and its gaps: what still comes for such a day is added to its
-- sums, and dropped. Of those sums the digest is kept, for they have no readings left to be held against.
CREATE TABLE dropped (
  partition  INTEGER PRIMARY KEY,
  before_day INTEGER NOT NULL,
  ok         INTEGER NOT NULL,
  late       INTEGER NOT NULL,
  too_late   INTEGER NOT NULL,
  duplicate  INTEGER NOT NULL,
  rejected   INTEGER NOT NULL,
  metrics    INTEGER NOT NULL
) STRICT;

CREATE INDEX late_readings_meter ON late_readings (meter_id);
CREATE INDEX gap_alerts_open ON gap_alerts (missing_from) WHERE state = 'OPEN';
-- Times are put in order without their Z, see 002_views.sql.
CREATE INDEX late_events_time ON late_events (rtrim(time, 'Z'));
CREATE INDEX late_events_meter ON late_events (meter_id);
CREATE INDEX rejected_readings_time ON rejected_readings (rtrim(time, 'Z'));
CREATE INDEX rejected_readings_meter ON rejected_readings (meter_id, reason);
CREATE INDEX metrics_type_time ON metrics (metric_type, time);
-- What happened to single meters: few rows.
CREATE INDEX metrics_meter ON metrics (meter_id, metric_type) WHERE meter_id IS NOT NULL;
CREATE INDEX metrics_time ON metrics (time); -- for retention

-- A meter's history is found day by day although days come first in the key, once SQLite's planner
-- knows that a day has many rows: it asks this statistic.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('reading_days', 'reading_days', '5000000 5000 1 1 1'),
  ('meter_days', 'meter_days', '5000000 5000 1 1 1');
