-- How the raw topic goes on, as the sinks see it every few seconds: what the tables alone cannot tell.
-- Times are of the database's own clock.
CREATE TABLE raw_ends (
  partition     integer     PRIMARY KEY,
  end_offset    bigint      NOT NULL,
  stable_offset bigint      NOT NULL,
  waiting       bigint      NOT NULL CHECK (waiting >= 0),
  next_offset   bigint      NOT NULL,
  moved_at      timestamptz NOT NULL,
  seen_at       timestamptz NOT NULL
);
COMMENT ON TABLE raw_ends IS 'How far the raw topic goes and how far its readings are in the tables, as a sink last saw it.';
COMMENT ON COLUMN raw_ends.partition IS 'Partition of the raw topic.';
COMMENT ON COLUMN raw_ends.end_offset IS 'The log end offset: the next record gets it.';
COMMENT ON COLUMN raw_ends.stable_offset IS 'The last stable offset: records from here on stand behind an open transaction.';
COMMENT ON COLUMN raw_ends.waiting IS 'Raw records that are not in the tables yet.';
COMMENT ON COLUMN raw_ends.next_offset IS 'The position in the table positions when this was seen.';
COMMENT ON COLUMN raw_ends.moved_at IS 'When that position last moved, or nothing waited.';
COMMENT ON COLUMN raw_ends.seen_at IS 'When a sink last asked Kafka and could write the answer here.';

-- Each partition's health in seconds: still_seconds without progress though records wait,
-- unseen_seconds since a sink looked. Empty where no sink has ever written.
CREATE VIEW pipeline_health AS
SELECT partition, end_offset, stable_offset, waiting, next_offset,
       CASE WHEN waiting = 0 THEN 0
            ELSE extract(epoch FROM now() - moved_at) END::double precision AS still_seconds,
       extract(epoch FROM now() - seen_at)::double precision AS unseen_seconds,
       stable_offset < end_offset AS has_open_transaction,
       moved_at, seen_at
FROM raw_ends;
COMMENT ON VIEW pipeline_health IS 'Whether readings get on: by partition, for how long records have waited without progress, and how long ago a sink looked.';
