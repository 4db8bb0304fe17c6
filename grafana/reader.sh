#!/bin/sh
# The user that Grafana asks the database with: it reads, and for no longer than a panel may wait.
# Runs once, when TimescaleDB's container makes its data directory.
set -eu
psql -v ON_ERROR_STOP=1 -v password="${GRAFANA_DB_PASSWORD:?}" \
  --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE grafana_reader LOGIN PASSWORD :'password';
GRANT pg_read_all_data TO grafana_reader;
ALTER ROLE grafana_reader SET default_transaction_read_only = on;
ALTER ROLE grafana_reader SET statement_timeout = '30s';
SQL
