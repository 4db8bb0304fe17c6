-- TimescaleDB under the Timescale licence: how old chunks are stored, see src/adapters/migrations.ts
-- for when. gap_alerts stays in rows: a gap is written over as long as it lives.
ALTER TABLE validated_readings SET (timescaledb.enable_columnstore,
  timescaledb.segmentby = 'meter_id', timescaledb.orderby = 'time');
ALTER TABLE late_events SET (timescaledb.enable_columnstore,
  timescaledb.segmentby = 'meter_id', timescaledb.orderby = 'time');
ALTER TABLE rejected_readings SET (timescaledb.enable_columnstore,
  timescaledb.segmentby = 'source_partition', timescaledb.orderby = 'time, source_offset');
ALTER TABLE metrics SET (timescaledb.enable_columnstore,
  timescaledb.segmentby = 'metric_type', timescaledb.orderby = 'time');
