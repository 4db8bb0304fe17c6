-- How the raw topic goes on, as the sinks see it every few seconds: what the tables alone cannot tell.
-- Times are of the database's own clock.
CREATE TABLE raw_ends (
  partition     integer     PRIMARY KEY,
  end_offset    bigint      NOT NULL,
  stable_offset bigint      NOT NULL,
  waiting       bigint      NOT NULL CHECK (waiting >= 0),
  next_offset   bigint      NOT NULL,
  unwritten     bigint      NOT NULL CHECK (unwritten >= 0),
  moved_at      timestamptz NOT NULL,
  seen_at       timestamptz NOT NULL
);
COMMENT ON TABLE raw_ends IS 'How far the raw topic goes and how far its readings are in the tables, as a sink last saw it.';
COMMENT ON COLUMN raw_ends.partition IS 'Partition of the raw topic.';
COMMENT ON COLUMN raw_ends.end_offset IS 'The log end offset: the next record gets it.';
COMMENT ON COLUMN raw_ends.stable_offset IS 'The last stable offset: records from here on stand behind an open transaction.';
COMMENT ON COLUMN raw_ends.waiting IS 'Raw records that are not in the tables yet.';
COMMENT ON COLUMN raw_ends.next_offset IS 'The position in the table positions when this was seen.';
COMMENT ON COLUMN raw_ends.unwritten IS 'The sink''s lag: messages of the output topics that are not written yet.';
COMMENT ON COLUMN raw_ends.moved_at IS 'When that position last moved, or nothing waited.';
COMMENT ON COLUMN raw_ends.seen_at IS 'When a sink last asked Kafka and could write the answer here.';

-- Each partition's health in seconds: still_seconds without progress though records wait,
-- unseen_seconds since a sink looked. Empty where no sink has ever written.
CREATE VIEW pipeline_health AS
SELECT partition, end_offset, stable_offset, waiting, next_offset, unwritten,
       CASE WHEN waiting = 0 THEN 0
            ELSE extract(epoch FROM now() - moved_at) END::double precision AS still_seconds,
       extract(epoch FROM now() - seen_at)::double precision AS unseen_seconds,
       stable_offset < end_offset AS has_open_transaction,
       moved_at, seen_at
FROM raw_ends;
COMMENT ON VIEW pipeline_health IS 'Whether readings get on: by partition, for how long records have waited without progress, and how long ago a sink looked.';

-- What the tables of 001 and 003 are, for whoever opens them with SQL alone.
COMMENT ON TABLE validated_readings IS 'Accepted readings, each once: rows = ok + late of the ledger.';
COMMENT ON COLUMN validated_readings.time IS 'Event time: the start of the interval that the reading is of.';
COMMENT ON COLUMN validated_readings.meter_id IS 'The meter.';
COMMENT ON COLUMN validated_readings.consumption_kwh IS 'Energy of the interval, kWh.';
COMMENT ON COLUMN validated_readings.status IS 'OK, or LATE: behind the watermark, within the allowed lateness.';
COMMENT ON COLUMN validated_readings.flags IS 'What the rules say of it: TIME_SHIFT, NEGATIVE, REVISES.';
COMMENT ON COLUMN validated_readings.delay_seconds IS 'How far behind the watermark a LATE reading came, seconds.';
COMMENT ON COLUMN validated_readings.source_partition IS 'Partition of the raw record.';
COMMENT ON COLUMN validated_readings.source_offset IS 'Offset of the raw record.';
COMMENT ON TABLE gap_alerts IS 'Gaps, one row each, as last announced; gap_status has the length known now.';
COMMENT ON COLUMN gap_alerts.time IS 'The first missing_from of the gap; it never changes.';
COMMENT ON COLUMN gap_alerts.meter_id IS 'The meter.';
COMMENT ON COLUMN gap_alerts.missing_from IS 'The first missing slot.';
COMMENT ON COLUMN gap_alerts.missing_to IS 'The first slot after the missing ones.';
COMMENT ON COLUMN gap_alerts.gap_minutes IS 'From missing_from to missing_to, minutes.';
COMMENT ON COLUMN gap_alerts.missing_intervals IS 'Slots that are missing.';
COMMENT ON COLUMN gap_alerts.rejected_intervals IS 'Of these, slots that an unusable reading came for.';
COMMENT ON COLUMN gap_alerts.state IS 'OPEN: it grows; CLOSED: the meter is back; FILLED: late readings took all its slots; EXPIRED: the meter is silent.';
COMMENT ON COLUMN gap_alerts.gap_id IS 'meter_id@first missing_from.';
COMMENT ON COLUMN gap_alerts.detected_at IS 'Watermark at which it was announced, event time.';
COMMENT ON COLUMN gap_alerts.source_partition IS 'Partition of the raw record that led to it.';
COMMENT ON COLUMN gap_alerts.source_offset IS 'Offset of that record.';
COMMENT ON TABLE late_events IS 'Readings that came too late to be taken.';
COMMENT ON COLUMN late_events.time IS 'When it was judged, event time: event_timestamp + delay_seconds.';
COMMENT ON COLUMN late_events.meter_id IS 'The meter.';
COMMENT ON COLUMN late_events.event_timestamp IS 'Event time of the reading.';
COMMENT ON COLUMN late_events.consumption_kwh IS 'Energy of the interval, kWh.';
COMMENT ON COLUMN late_events.delay_seconds IS 'How far behind the watermark it came, seconds.';
COMMENT ON COLUMN late_events.source_partition IS 'Partition of the raw record.';
COMMENT ON COLUMN late_events.source_offset IS 'Offset of the raw record.';
COMMENT ON TABLE rejected_readings IS 'Raw records that are no usable reading, and repeats.';
COMMENT ON COLUMN rejected_readings.time IS 'Its own event time where that is near a clock that is known, else the clock it was judged by.';
COMMENT ON COLUMN rejected_readings.reason IS 'MALFORMED, MISSING_FIELD, BAD_METER_ID, BAD_TIMESTAMP, BAD_VALUE, NEGATIVE, TOO_LARGE, TOO_OLD, FUTURE, TOO_MANY_METERS, DUPLICATE or CONFLICT.';
COMMENT ON COLUMN rejected_readings.detail IS 'The reason, for people.';
COMMENT ON COLUMN rejected_readings.raw IS 'The raw record, as much of it as is kept.';
COMMENT ON COLUMN rejected_readings.raw_encoding IS 'utf8, or base64 where the bytes are no text.';
COMMENT ON COLUMN rejected_readings.meter_id IS 'The meter, where it is known.';
COMMENT ON COLUMN rejected_readings.event_timestamp IS 'The timestamp it carries, where that can be read.';
COMMENT ON COLUMN rejected_readings.consumption_kwh IS 'The value it carries, where that can be read.';
COMMENT ON COLUMN rejected_readings.source_partition IS 'Partition of the raw record.';
COMMENT ON COLUMN rejected_readings.source_offset IS 'Offset of the raw record.';
COMMENT ON TABLE metrics IS 'The pipeline''s own figures, one a commit, partition and kind.';
COMMENT ON COLUMN metrics.time IS 'Event time of the commit.';
COMMENT ON COLUMN metrics.metric_type IS 'What is counted or measured.';
COMMENT ON COLUMN metrics.meter_id IS 'The meter, where the figure is of one.';
COMMENT ON COLUMN metrics.value IS 'The figure.';
COMMENT ON COLUMN metrics.tags IS 'What it is broken down by.';
COMMENT ON COLUMN metrics.source_partition IS 'Partition of the raw topic.';
COMMENT ON COLUMN metrics.source_offset IS 'Offset that the commit went up to.';
COMMENT ON TABLE ledger IS 'What became of the raw records, by partition: raw = ok + late + too_late + duplicate + rejected + tick.';
COMMENT ON COLUMN ledger.partition IS 'Partition of the raw topic.';
COMMENT ON COLUMN ledger.raw IS 'Raw records.';
COMMENT ON COLUMN ledger.ok IS 'Accepted in time.';
COMMENT ON COLUMN ledger.late IS 'Accepted late.';
COMMENT ON COLUMN ledger.too_late IS 'In late_events.';
COMMENT ON COLUMN ledger.duplicate IS 'Repeats, in rejected_readings.';
COMMENT ON COLUMN ledger.rejected IS 'No usable readings, in rejected_readings.';
COMMENT ON COLUMN ledger.tick IS 'Ticks and other control records.';
COMMENT ON TABLE positions IS 'How far each partition is judged and written.';
COMMENT ON COLUMN positions.partition IS 'Partition of the raw topic.';
COMMENT ON COLUMN positions.next_offset IS 'The last raw offset in the tables, and one.';
COMMENT ON COLUMN positions.watermark IS 'Event time has come this far.';
COMMENT ON TABLE sink_positions IS 'How far the sinks have written each output topic.';
COMMENT ON COLUMN sink_positions.topic IS 'The topic.';
COMMENT ON COLUMN sink_positions.partition IS 'Its partition.';
COMMENT ON COLUMN sink_positions.next_offset IS 'The last offset written, and one.';
COMMENT ON COLUMN sink_positions.messages IS 'Messages written.';
COMMENT ON COLUMN sink_positions.written_at IS 'When it last moved, wall clock of the database.';
COMMENT ON TABLE sink_errors IS 'Messages that became no row, with the reason.';
COMMENT ON COLUMN sink_errors.time IS 'When it was refused, wall clock of the database.';
COMMENT ON COLUMN sink_errors.topic IS 'The topic.';
COMMENT ON COLUMN sink_errors.partition IS 'Its partition.';
COMMENT ON COLUMN sink_errors."offset" IS 'The offset there.';
COMMENT ON COLUMN sink_errors.error IS 'Why.';
COMMENT ON COLUMN sink_errors.sqlstate IS 'The server''s code; null: the sink could not read the message.';
COMMENT ON COLUMN sink_errors.value IS 'The message.';
COMMENT ON COLUMN sink_errors.value_encoding IS 'utf8, or base64 where the bytes are no text.';
COMMENT ON TABLE readings_meter_daily IS 'Accepted readings of a meter by day (UTC) and partition, kept with the readings.';
COMMENT ON COLUMN readings_meter_daily.bucket IS 'Midnight UTC of the day.';
COMMENT ON COLUMN readings_meter_daily.meter_id IS 'The meter.';
COMMENT ON COLUMN readings_meter_daily.source_partition IS 'Partition of the raw topic.';
COMMENT ON COLUMN readings_meter_daily.readings IS 'Accepted readings.';
COMMENT ON COLUMN readings_meter_daily.late_readings IS 'Of these, late ones.';
COMMENT ON COLUMN readings_meter_daily.flagged_readings IS 'Of these, flagged ones.';
COMMENT ON COLUMN readings_meter_daily.consumption_kwh IS 'Their energy, kWh.';
COMMENT ON COLUMN readings_meter_daily.first_at IS 'The first one, event time.';
COMMENT ON COLUMN readings_meter_daily.last_at IS 'The last one, event time.';

-- The state of a gap is one of four; what says another is no row, and stands in sink_errors.
ALTER TABLE gap_alerts ADD CONSTRAINT gap_alerts_state
  CHECK (state IN ('OPEN', 'CLOSED', 'FILLED', 'EXPIRED'));
