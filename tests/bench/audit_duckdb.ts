/** Counts in DuckDB what `gridwatch audit` counts, in the one pass that is the fair comparison. */
import { DuckDBInstance } from "@duckdb/node-api";

const [pattern, threads] = Deno.args;
const instance = await DuckDBInstance.create(":memory:", { threads });
const connection = await instance.connect();
await connection.run("SET preserve_insertion_order = false");
const reader = await connection.runAndReadAll(`
  WITH readings AS (
    SELECT m, ts, x, lag(ts) OVER w AS before_ts, lag(x) OVER w AS before_x
    FROM read_csv('${pattern}', header = true,
      columns = {'m': 'VARCHAR', 'ts': 'TIMESTAMP', 'x': 'DOUBLE'})
    WINDOW w AS (PARTITION BY m ORDER BY ts, x)
  ), meters AS (
    SELECT m, count(*) AS readings,
      count(*) FILTER (WHERE ts = before_ts AND x = before_x) AS identical,
      count(*) FILTER (WHERE ts = before_ts AND x <> before_x) AS conflicting,
      count(*) FILTER (WHERE ts - before_ts > INTERVAL 30 MINUTE) AS gaps,
      coalesce(sum(epoch(ts - before_ts) / 1800 - 1)
        FILTER (WHERE ts - before_ts > INTERVAL 30 MINUTE), 0) AS missing
    FROM readings GROUP BY m
  )
  SELECT sum(readings), sum(identical), sum(conflicting), sum(gaps), sum(missing) FROM meters`);
console.log(reader.getRows()[0].map(Number).join(" "));
