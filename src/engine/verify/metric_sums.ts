import type { Outputs } from "../../core/outputs.ts";

/** The metrics that count records: their sums do not depend on how the commits were cut. */
const COUNTED = new Set([
  ...["event_processed", "invalid_event", "too_late_event", "duplicate_event", "gap_detected"],
]);

/** A metric as it stands in its topic. */
export type MetricMessage = {
  readonly metric_type: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly value: number;
};

/** Metrics that count records, by type and tags, summed over all commits. */
export class MetricSums {
  readonly #expected = new Map<string, number>();
  readonly #found = new Map<string, number>();

  expect({ metrics }: Outputs): void {
    for (const { metricType, tags, value } of metrics) {
      add(this.#expected, { metric_type: metricType, tags, value });
    }
  }

  find(metric: MetricMessage): void {
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

/** Reads a metric; null: the text is no metric. */
export function parseMetric(text: string): MetricMessage | null {
  try {
    const metric = JSON.parse(text);
    return typeof metric?.metric_type === "string" && Number.isFinite(metric.value) ? metric : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function add(sums: Map<string, number>, { metric_type, tags, value }: MetricMessage): void {
  if (!COUNTED.has(metric_type)) return;
  const key = `${metric_type} ${JSON.stringify(tags)}`;
  sums.set(key, (sums.get(key) ?? 0) + value);
}
