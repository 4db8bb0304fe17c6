-- The quality code that a reading was delivered with, as it came; null: none. Runs unchanged on
-- PostgreSQL 15+, TimescaleDB and PGlite.
ALTER TABLE validated_readings ADD COLUMN quality text;
COMMENT ON COLUMN validated_readings.quality IS 'The quality code that it was delivered with, as it came; null: none.';

CREATE OR REPLACE VIEW readings_current AS
SELECT v.* FROM validated_readings v
WHERE NOT EXISTS (
  SELECT 1 FROM revisions r
  WHERE r.source_partition = v.source_partition AND r.revised_offset = v.source_offset
);
