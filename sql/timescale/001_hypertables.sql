-- TimescaleDB, any edition: the tables that grow become hypertables. :chunk_interval is put in from
-- the setting when this runs; `gridwatch migrate` applies a later change of it to new chunks.
SELECT create_hypertable('validated_readings', by_range('time', INTERVAL ':chunk_interval'),
  create_default_indexes => false, migrate_data => true);
SELECT create_hypertable('gap_alerts', by_range('time', INTERVAL ':chunk_interval'),
  create_default_indexes => false, migrate_data => true);
SELECT create_hypertable('late_events', by_range('time', INTERVAL ':chunk_interval'),
  create_default_indexes => false, migrate_data => true);
SELECT create_hypertable('rejected_readings', by_range('time', INTERVAL ':chunk_interval'),
  create_default_indexes => false, migrate_data => true);
SELECT create_hypertable('metrics', by_range('time', INTERVAL ':chunk_interval'),
  create_default_indexes => false, migrate_data => true);
