import type { Metric, Outputs } from "../../core/outputs.ts";

/** The metrics that count records: their sums do not depend on how the commits were cut. */
const COUNTED = new Set([
  ...["event_processed", "invalid_event", "too_late_event", "duplicate_event", "gap_detected"],
]);

type Counted = Pick<Metric, "metricType" | "tags" | "value">;

/** Metrics that count records, by type and tags, summed over all commits. */
export class MetricSums {
  readonly #expected = new Map<string, number>();
  readonly #found = new Map<string, number>();

  expect({ metrics }: Outputs): void {
    for (const metric of metrics) add(this.#expected, metric);
  }

  find(metric: Counted): void {
    add(this.#found, metric);
  }

  *differences(): Generator<{ expected: string; found: string }> {
    for (const key of new Set([...this.#expected.keys(), ...this.#found.keys()])) {
      const expected = this.#expected.get(key) ?? 0;
      const found = this.#found.get(key) ?? 0;
      if (expected !== found) yield { expected: `${key}: ${expected}`, found: `${key}: ${found}` };
    }
  }
}

function add(sums: Map<string, number>, { metricType, tags, value }: Counted): void {
  if (!COUNTED.has(metricType)) return;
  const key = `${metricType} ${JSON.stringify(tags)}`;
  sums.set(key, (sums.get(key) ?? 0) + value);
}
