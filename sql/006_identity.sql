-- What positions count in, and for whom. Runs unchanged on PostgreSQL 15+, TimescaleDB and PGlite.

-- Kafka's id of the topic: one made anew under its name has another. Null: not known yet.
ALTER TABLE sink_positions ADD COLUMN topic_id uuid;

-- Which database this is, in one row: sinks of two databases do not share partitions.
CREATE TABLE database_identity (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid()
);
INSERT INTO database_identity DEFAULT VALUES;
