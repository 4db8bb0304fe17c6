-- How far the clocks of the configured time zone are ahead of UTC, and from when on. `gridwatch migrate` and
-- `gridwatch run` write it; empty: UTC.
CREATE TABLE zone_offsets (
  starts_at      timestamptz PRIMARY KEY,
  offset_seconds integer     NOT NULL,
  zone           text        NOT NULL
);
COMMENT ON TABLE zone_offsets IS 'The configured time zone: how far its clocks are ahead of UTC, from when on.';
COMMENT ON COLUMN zone_offsets.starts_at IS 'From this instant on, to the next row.';
COMMENT ON COLUMN zone_offsets.offset_seconds IS 'Local time minus UTC, seconds.';
COMMENT ON COLUMN zone_offsets.zone IS 'Its name, as timezone in the settings has it.';

-- Completeness of a meter by day of the configured zone: days of 23 and of 25 hours are as long as they are.
-- It is counted of the readings one by one: ask it of some meters, or for some days. Each slot counts on the
-- day in which it begins.
CREATE VIEW completeness_local_daily AS
SELECT to_char((time + coalesce((
         SELECT offset_seconds FROM zone_offsets WHERE starts_at <= time ORDER BY starts_at DESC LIMIT 1
       ), 0) * interval '1 second') AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS local_day,
       meter_id,
       sum(readings)::bigint                  AS readings,
       sum(late_readings)::bigint             AS late_readings,
       sum(missing_intervals)::bigint         AS missing_intervals,
       sum(valid + missing_intervals)::bigint AS expected_intervals,
       (100.0 * sum(valid) / nullif(sum(valid + missing_intervals), 0))::double precision
                                              AS completeness_percent,
       sum(consumption_kwh)                   AS consumption_kwh
FROM (
  SELECT time, meter_id, 1 AS readings, (status = 'LATE')::integer AS late_readings,
         (revises_kwh IS NULL)::integer AS valid, 0 AS missing_intervals,
         consumption_kwh - coalesce(revises_kwh, 0) AS consumption_kwh
  FROM validated_readings
  UNION ALL
  SELECT missing_from + n * (gap_minutes / missing_intervals) * interval '1 minute', meter_id,
         0, 0, 0, 1, 0
  FROM gap_status CROSS JOIN LATERAL generate_series(0, known_intervals - 1) AS slots (n)
  WHERE missing_intervals > 0 AND gap_minutes > 0
) AS slots
GROUP BY 1, 2;
COMMENT ON VIEW completeness_local_daily IS 'Completeness of a meter by day of the configured time zone, of 23, 24 or 25 hours.';

-- What the tables and views of 003 to 011 are, as 007 says it of the first.
COMMENT ON COLUMN validated_readings.revises_kwh IS 'The value that this reading replaces; null: it replaces none.';
COMMENT ON COLUMN gap_alerts.filled_intervals IS 'Of a FILLED gap: the most slots that it ever had.';
COMMENT ON COLUMN rejected_readings.source IS 'Where its row came from, such as file.csv:123.';
COMMENT ON COLUMN rejected_readings.slot IS 'Of a repeat: the interval that is taken.';
COMMENT ON COLUMN rejected_readings.held_kwh IS 'Of a repeat: the value that holds the interval.';
COMMENT ON COLUMN positions.judged_to IS 'Up to where slots are judged: grace_period_seconds before the watermark.';
COMMENT ON COLUMN readings_meter_daily.revised_readings IS 'Of the readings, those that replace another.';
COMMENT ON COLUMN readings_meter_daily.consumption_mwh IS 'The energy in whole milliwatt-hours; of a revision what it changes.';
COMMENT ON COLUMN readings_meter_daily.last_offset IS 'Offset of the latest raw record; -1: it is not known.';
COMMENT ON COLUMN readings_meter_daily.last_late_offset IS 'Offset of the latest raw record that was late; -1: none.';
COMMENT ON COLUMN sink_positions.topic_id IS 'Kafka''s identity of the topic that is counted in.';
COMMENT ON TABLE database_identity IS 'Which database this is, in one row: sinks of two databases do not share partitions.';
COMMENT ON COLUMN database_identity.id IS 'Drawn as the database was migrated.';
COMMENT ON TABLE digests IS 'What the rows of a table come to, by partition and day: verify proves the rows by it.';
COMMENT ON COLUMN digests.table_name IS 'The table.';
COMMENT ON COLUMN digests.source_partition IS 'Partition of the raw topic; -1: the table is not kept by partition.';
COMMENT ON COLUMN digests.day IS 'Days since 1970-01-01 (UTC); -1: the table is not kept by day.';
COMMENT ON COLUMN digests.rows IS 'How many rows.';
COMMENT ON COLUMN digests.marked IS 'Of these, LATE readings, or DUPLICATE and CONFLICT rejections.';
COMMENT ON COLUMN digests.low IS 'Sum of the rows'' hashes, the low 32 bits.';
COMMENT ON COLUMN digests.high IS 'Sum of the rows'' hashes, the high 32 bits.';
COMMENT ON TABLE undigested IS 'Rows that were here before digests were kept: counted, and not proven.';
COMMENT ON COLUMN undigested.table_name IS 'The table.';
COMMENT ON COLUMN undigested.source_partition IS 'Partition of the raw topic; -1: the table is not kept by partition.';
COMMENT ON COLUMN undigested.day IS 'Days since 1970-01-01 (UTC); -1: the table is not kept by day.';
COMMENT ON COLUMN undigested.rows IS 'How many rows.';
COMMENT ON COLUMN undigested.marked IS 'As digests.marked has it.';
COMMENT ON COLUMN undigested.end_offset IS 'Rows of raw records before the largest of a table and partition are meant; null: all.';
COMMENT ON VIEW completeness IS 'Completeness of all meters, and of those that report.';
COMMENT ON VIEW completeness_daily IS 'A meter''s day (UTC): readings, missing slots, percent.';
COMMENT ON VIEW completeness_fleet_daily IS 'The fleet''s day (UTC): readings, missing slots, percent.';
COMMENT ON VIEW dropped IS 'What retention has dropped of the rows that the ledger counts, by partition.';
COMMENT ON VIEW dropped_days IS 'The same by table and day.';
COMMENT ON VIEW duplicates IS 'Repeats, and what holds their slot.';
COMMENT ON VIEW gap_recovery IS 'Missing slots that a too-late reading covered.';
COMMENT ON VIEW gap_status IS 'Gaps, with their length as known now.';
COMMENT ON VIEW late_revisions IS 'Too-late readings for a slot that is taken.';
COMMENT ON VIEW meter_status IS 'Meters: how each stands, and its account.';
COMMENT ON VIEW missing_daily IS 'Missing slots of a meter by day (UTC).';
COMMENT ON VIEW readings_current IS 'Accepted readings, of a slot the newest.';
COMMENT ON VIEW revisions IS 'Readings that replace another, and which.';
COMMENT ON VIEW silences IS 'Silent meters: since when, and how many slots are missing by now.';
COMMENT ON COLUMN validated_readings.received_at IS 'When it arrived at the head end, where its record says so.';
COMMENT ON TABLE validation_records IS 'What rules of validation found, one row a run or episode, as it stands now.';
COMMENT ON COLUMN validation_records.meter_id IS 'The meter.';
COMMENT ON COLUMN validation_records.channel IS 'Its register; empty where it has only one.';
COMMENT ON COLUMN validation_records.rule IS 'The rule.';
COMMENT ON COLUMN validation_records.severity IS 'How much it matters.';
COMMENT ON COLUMN validation_records."from" IS 'The first slot.';
COMMENT ON COLUMN validation_records."to" IS 'The first slot after it.';
COMMENT ON COLUMN validation_records.slots IS 'How many slots.';
COMMENT ON COLUMN validation_records.value IS 'The energy that failed, kWh.';
COMMENT ON COLUMN validation_records."limit" IS 'What it was held against, kWh.';
COMMENT ON COLUMN validation_records.detail IS 'What it is, for people.';
COMMENT ON COLUMN validation_records.source_partition IS 'Partition of the raw record that led to it.';
COMMENT ON COLUMN validation_records.source_offset IS 'Offset of that record.';
COMMENT ON TABLE meters IS 'The registry: which meters are expected, in which group, how often; one row a version.';
COMMENT ON COLUMN meters.meter_id IS 'The meter.';
COMMENT ON COLUMN meters.channel IS 'Its register; empty where it has only one.';
COMMENT ON COLUMN meters.version IS 'The version: the last one in force holds.';
COMMENT ON COLUMN meters.in_force IS 'From when on it holds.';
COMMENT ON COLUMN meters.group_id IS 'The group of meters that it is one of.';
COMMENT ON COLUMN meters.interval_minutes IS 'How often it reports.';
COMMENT ON COLUMN meters.timezone IS 'Its time zone.';
COMMENT ON COLUMN meters.active_from IS 'Since when readings are expected.';
COMMENT ON COLUMN meters.active_to IS 'Until when.';
COMMENT ON COLUMN meters.direction IS 'Which way its energy flows.';
COMMENT ON COLUMN meters.max_kw IS 'The most power that it can have, kW.';
COMMENT ON TABLE gap_starts IS 'Where each gap starts, kept with gap_alerts: shared outages are found by it. Columns _ms are milliseconds since 1970-01-01 UTC.';
COMMENT ON COLUMN gap_starts.meter_id IS 'The meter.';
COMMENT ON COLUMN gap_starts.gap_id IS 'The gap.';
COMMENT ON COLUMN gap_starts.source_partition IS 'Partition of the raw record that led to it.';
COMMENT ON COLUMN gap_starts.source_offset IS 'Offset of that record.';
COMMENT ON COLUMN gap_starts.group_id IS 'The meter''s group when the gap was first told of.';
COMMENT ON COLUMN gap_starts.slot_ms IS 'Its first missing slot as it stands now.';
COMMENT ON COLUMN gap_starts.announced_ms IS 'The first missing slot that was told of first.';
COMMENT ON COLUMN gap_starts.step_ms IS 'An interval; 0: not known.';
COMMENT ON COLUMN gap_starts.is_missing IS '0: late readings took all of its slots.';
COMMENT ON COLUMN gap_starts.end_ms IS 'The first slot after it; null: it goes on.';
COMMENT ON TABLE incidents IS 'Shared outages: gaps of several meters of a group that start together, one row each, as it stands now.';
COMMENT ON COLUMN incidents.incident_id IS 'Its name.';
COMMENT ON COLUMN incidents.group_id IS 'The group.';
COMMENT ON COLUMN incidents."from" IS 'The slot in which its gaps start.';
COMMENT ON COLUMN incidents."to" IS 'The first slot in which fewer than needed of its meters are still missing.';
COMMENT ON COLUMN incidents.state IS 'OPEN, CLOSED or WITHDRAWN.';
COMMENT ON COLUMN incidents.meters IS 'Meters whose gaps start in that slot or the next.';
COMMENT ON COLUMN incidents.expected IS 'Meters of the group that could start one.';
COMMENT ON COLUMN incidents.needed IS 'How many of them make an incident.';
COMMENT ON COLUMN incidents.part_of IS 'The larger incident that it is a part of.';
COMMENT ON COLUMN incidents.slot_ms IS 'from, as it is counted with.';
COMMENT ON COLUMN incidents.next_ms IS 'The slot after it.';
COMMENT ON TABLE estimated_readings IS 'Estimates of missing readings, made anew at any time; measured values are never written over.';
COMMENT ON COLUMN estimated_readings.meter_id IS 'The meter.';
COMMENT ON COLUMN estimated_readings.channel IS 'Its register; empty where it has only one.';
COMMENT ON COLUMN estimated_readings.time IS 'The slot.';
COMMENT ON COLUMN estimated_readings.consumption_kwh IS 'The estimate, kWh.';
COMMENT ON COLUMN estimated_readings.method IS 'LINEAR or PROFILE.';
COMMENT ON COLUMN estimated_readings.code IS 'CIM''s quality (IEC 61968-9).';
COMMENT ON COLUMN estimated_readings.gap_id IS 'The gap that it is of.';
COMMENT ON COLUMN estimated_readings.withdrawn IS 'A reading has come since, or the slot is no longer estimated.';
COMMENT ON TABLE estimate_refusals IS 'Gaps that were not estimated, and why.';
COMMENT ON COLUMN estimate_refusals.gap_id IS 'The gap.';
COMMENT ON COLUMN estimate_refusals.meter_id IS 'The meter.';
COMMENT ON COLUMN estimate_refusals.channel IS 'Its register; empty where it has only one.';
COMMENT ON COLUMN estimate_refusals."from" IS 'The first missing slot.';
COMMENT ON COLUMN estimate_refusals."to" IS 'The first slot after the missing ones.';
COMMENT ON COLUMN estimate_refusals.reason IS 'NO_HISTORY, or TOO_LONG (14 days).';
COMMENT ON VIEW incident_meters IS 'Whose gaps an incident is made of.';
COMMENT ON VIEW meters_failing_together IS 'Meters whose gaps start in the same slot time and again.';
COMMENT ON VIEW meters_current IS 'The registry as it is in force now.';
COMMENT ON VIEW kpi_slots IS 'What completeness is counted from: parts to be added up.';
COMMENT ON VIEW kpi_gaps IS 'Gaps by the day on which they begin, and minutes to recover.';
COMMENT ON VIEW meter_intervals IS 'How long the interval of each meter is.';
COMMENT ON VIEW kpi_arrivals IS 'When readings arrived whose arrival is known.';
