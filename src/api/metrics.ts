import { DISPOSITIONS, ledgerDifference } from "../core/ledger.ts";
import type { LiveStatus, RunState } from "./ports.ts";
import type { PipelineAnswer } from "./status.ts";
import type { PartitionHealth } from "../tables/pipeline_health.ts";
import type { LedgerAnswer } from "../tables/ledger.ts";
import { GAP_STATES, type GapsByState } from "../tables/lists.ts";

const STATES: readonly RunState[] = [
  "starting",
  "running",
  "finished",
  "stopped",
  "failed",
  "stalled",
];

type Sample = readonly [labels: Readonly<Record<string, string | number>>, value: number];

/** What `/metrics` is made of. `ledger` and `gaps` are null when the store does not answer. */
export type MetricsInput = {
  readonly version: string;
  readonly live: LiveStatus;
  readonly ledger: LedgerAnswer | null;
  readonly gaps: GapsByState | null;
  readonly pipeline: PipelineAnswer | null;
  readonly eventClients: number;
};

/** The figures in Prometheus' text format 0.0.4. */
export function formatMetrics(input: MetricsInput): string {
  const { ledger, gaps, pipeline, eventClients } = input;
  return [
    ...driverFamilies(input),
    ...(ledger === null ? [] : ledgerFamilies(ledger)),
    ...(gaps === null ? [] : gapFamilies(gaps)),
    ...(pipeline === null ? [] : pipelineFamilies(pipeline)),
    family("gridwatch_event_clients", "gauge", "Pages that listen.", [[{}, eventClients]]),
  ].join("");
}

/** What the driver knows from memory, and whether the store answers. */
function driverFamilies({ version, live, ledger }: MetricsInput): string[] {
  const seconds = (ms: number | null): Sample[] => ms === null ? [] : [[{}, ms / 1000]];
  return [
    family("gridwatch_build_info", "gauge", "The version that runs.", [[{ version }, 1]]),
    family(
      "gridwatch_state",
      "gauge",
      "1 for the state it is in.",
      STATES.map((state) => [{ state }, state === live.state ? 1 : 0]),
    ),
    family("gridwatch_store_up", "gauge", "1 when the store answers.", [[{}, ledger ? 1 : 0]]),
    family("gridwatch_problems", "gauge", "What keeps readings from the tables.", [
      [{}, live.problems.length],
    ]),
    family("gridwatch_input_rows_read_total", "counter", "Input rows read and committed.", [
      [{}, live.rowsRead],
    ]),
    family("gridwatch_readings_per_second", "gauge", "Rate of the last few seconds.", [
      [{}, live.readingsPerSecond],
    ]),
    family("gridwatch_start_time_seconds", "gauge", "When it started.", seconds(live.startedAtMs)),
    family(
      "gridwatch_last_progress_time_seconds",
      "gauge",
      "When it last got on.",
      seconds(live.lastProgressAtMs),
    ),
    family(
      "gridwatch_event_time_seconds",
      "gauge",
      "The watermark, the furthest of all partitions.",
      seconds(live.eventTimeMs),
    ),
  ];
}

/** The ledger by partition. */
function ledgerFamilies(ledger: LedgerAnswer): string[] {
  const { partitions } = ledger;
  return [
    family(
      "gridwatch_watermark_seconds",
      "gauge",
      "The watermark of a partition, as committed.",
      partitions.flatMap(({ partition, watermark }): Sample[] =>
        watermark === null ? [] : [[{ partition }, Date.parse(watermark) / 1000]]
      ),
    ),
    family(
      "gridwatch_next_offset",
      "gauge",
      "The next raw record of a partition.",
      partitions.flatMap(({ partition, next_offset }): Sample[] =>
        next_offset === null ? [] : [[{ partition }, next_offset]]
      ),
    ),
    family(
      "gridwatch_raw_records_total",
      "counter",
      "Raw records.",
      partitions.map(({ partition, raw }) => [{ partition }, raw]),
    ),
    family(
      "gridwatch_records_total",
      "counter",
      "Raw records by what became of them.",
      partitions.flatMap((each) =>
        DISPOSITIONS.map((disposition): Sample => [
          { partition: each.partition, disposition },
          each[disposition],
        ])
      ),
    ),
    family(
      "gridwatch_ledger_difference",
      "gauge",
      "Raw records without a disposition, or with more than one, of all partitions.",
      [[{}, unaccounted(ledger)]],
    ),
  ];
}

/** The way of the raw records into the tables. */
function pipelineFamilies({ partitions, sinkErrors }: PipelineAnswer): string[] {
  const each = (name: string, help: string, valueOf: (one: PartitionHealth) => number) =>
    family(
      `gridwatch_${name}`,
      "gauge",
      help,
      partitions.map((one) => [{ partition: one.partition }, valueOf(one)]),
    );
  const unread = partitions.filter((one) => one.nextOffset === 0 && one.waitingRecords > 0);
  return [
    each("waiting_records", "Raw records that are not in the tables.", (p) => p.waitingRecords),
    each("still_seconds", "Since when they wait without progress.", (p) => p.stillSeconds),
    each("unseen_seconds", "Since a sink looked at the raw topic.", (p) => p.unseenSeconds),
    each("raw_end_offset", "The raw topic's end.", (p) => p.endOffset),
    each("raw_stable_offset", "The raw topic's last stable offset.", (p) => p.stableOffset),
    family(
      "gridwatch_unread_partitions",
      "gauge",
      "Partitions of which nothing was ever written.",
      [
        [{}, unread.length],
      ],
    ),
    family("gridwatch_sink_errors", "gauge", "Messages that became no row.", [[{}, sinkErrors]]),
  ];
}

function gapFamilies(gaps: GapsByState): string[] {
  return [
    family(
      "gridwatch_gaps",
      "gauge",
      "Gaps by state.",
      GAP_STATES.map((state) => [{ state }, gaps[state].gaps]),
    ),
    family(
      "gridwatch_missing_intervals",
      "gauge",
      "Missing intervals by the state of their gap.",
      GAP_STATES.map((state) => [{ state }, gaps[state].missing_intervals]),
    ),
  ];
}

/** One partition's records too few do not make up for another's too many. */
function unaccounted({ partitions }: LedgerAnswer): number {
  return partitions.reduce((sum, ledger) => sum + Math.abs(ledgerDifference(ledger)), 0);
}

function family(
  name: string,
  type: "gauge" | "counter",
  help: string,
  samples: readonly Sample[],
): string {
  if (samples.length === 0) return "";
  const lines = samples.map(([labels, value]) => `${name}${formatLabels(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function formatLabels(labels: Sample[0]): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string | number): string {
  return String(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
