import { formatTimestamp } from "../core/time.ts";
import { type Episode, type EpisodeKind, FOUND_BY } from "./episodes.ts";
import {
  DEFECT_KINDS,
  type DefectKind,
  type FleetDefect,
  type FleetPlan,
  isDelayed,
  isGap,
  meterId,
  UNUSABLE_VALUES,
} from "./fleet.ts";

/** What Gridwatch must say of a fleet, at the default lateness and grace. */
export type Expected = Readonly<
  Record<"raw" | "ok" | "late" | "too_late" | "duplicate" | "rejected", number> & {
    /** The slots of `CLOSED` gaps: with those of unusable and too-late readings, without churn. */
    readonly missing_intervals: number;
    readonly gaps: number;
  }
>;

const LATENESS_SECONDS = 3600;

/**
 * The totals of a plan. With `hasTicks` event time goes on by the minute between the readings;
 * without, a late reading is judged against the last slot that was read before it.
 */
export function expectLedger(
  { options, slots, defectsByMeter }: FleetPlan,
  hasTicks: boolean,
): Expected {
  const stepSeconds = hasTicks ? 60 : options.intervalMinutes * 60;
  const sum = { ok: 0, late: 0, too_late: 0, duplicate: 0, rejected: 0 };
  let written = options.meters * slots, missing = 0, gaps = 0;
  for (const { kind, from, to, detail } of defectsByMeter.flat()) {
    const behindSeconds = Math.floor(detail / stepSeconds) * stepSeconds;
    const isTooLate = isDelayed(kind) && behindSeconds > LATENESS_SECONDS;
    const isRejected = kind === "negative" || kind === "unusable";
    if (isGap(kind)) written -= to - from;
    if (isRejected) sum.rejected++;
    else if (kind === "duplicate" || kind === "conflict") sum.duplicate++;
    else if (isTooLate) sum.too_late++;
    else if (isDelayed(kind) && behindSeconds > 0) sum.late++;
    if (kind !== "churn" && (isGap(kind) || isRejected || isTooLate)) {
      missing += to - from;
      gaps++;
    }
  }
  sum.ok = written - sum.late - sum.too_late - sum.rejected;
  return { raw: written + sum.duplicate, ...sum, missing_intervals: missing, gaps };
}

export function countDefects({ defectsByMeter }: FleetPlan): Record<DefectKind, number> {
  const counts = Object.fromEntries(DEFECT_KINDS.map((kind) => [kind, 0]));
  for (const defects of defectsByMeter) for (const { kind } of defects) counts[kind]++;
  return counts as Record<DefectKind, number>;
}

/** The defects file, a defect a line. To be read out after `fleetCsv`, which knows the values. */
export function* truthJson(plan: FleetPlan, expected: Expected): Generator<string> {
  const { seed, startMs, days, intervalMinutes, meters } = plan.options;
  const head = {
    seed,
    start: formatTimestamp(startMs),
    days,
    interval_minutes: intervalMinutes,
    meters,
    readings: expected.raw,
    counts: countDefects(plan),
    expected,
    expected_without_ticks: expectLedger(plan, false),
    ...(plan.episodes.length === 0 ? {} : { episodes: plan.episodes.map(episodeTruth(plan)) }),
    defects: [],
  };
  const text = JSON.stringify(head, null, 2);
  yield text.slice(0, text.lastIndexOf("]"));
  let separator = "\n    ";
  for (const defects of plan.defectsByMeter) {
    const lines = defects.map((defect) => JSON.stringify(truthOf(defect, plan)));
    if (lines.length > 0) yield separator + lines.join(",\n    ");
    if (lines.length > 0) separator = ",\n    ";
  }
  yield "\n  ]\n}\n";
}

/** What a day of an episode is, and which rules find it. */
export type EpisodeTruth = {
  readonly kind: EpisodeKind;
  readonly meter_id: string;
  readonly from: string;
  /** The first slot after it. */
  readonly to: string;
  readonly intervals: number;
  readonly found_by: readonly string[];
};

function episodeTruth({ options, intervalMs }: FleetPlan) {
  const timeOf = (slot: number) => formatTimestamp(options.startMs + slot * intervalMs);
  return ({ kind, meter, from, to }: Episode): EpisodeTruth => ({
    ...{ kind, meter_id: meterId(meter), from: timeOf(from), to: timeOf(to), intervals: to - from },
    found_by: FOUND_BY[kind],
  });
}

function truthOf(defect: FleetDefect, { options, intervalMs }: FleetPlan) {
  const { kind, detail, from, to } = defect;
  const timeOf = (slot: number) => formatTimestamp(options.startMs + slot * intervalMs);
  const timestamp = timeOf(from), value = defect.writtenWh / 1000, trueValue = defect.trueWh / 1000;
  const common = { kind, meter_id: meterId(defect.meter) };
  const span = { ...common, from: timestamp, to: timeOf(to), intervals: to - from };
  const reading = { ...common, timestamp };
  if (isGap(kind)) return span;
  if (isDelayed(kind)) {
    const arrivedMs = options.startMs + from * intervalMs + detail * 1000;
    return { ...reading, value, received_at: formatTimestamp(arrivedMs), delay_seconds: detail };
  }
  switch (kind) {
    case "stuck":
      return { ...span, value };
    case "duplicate":
      return { ...reading, value };
    case "conflict":
    case "spike":
    case "negative":
      return { ...reading, value, true_value: trueValue };
    case "unusable":
      return { ...reading, value: UNUSABLE_VALUES[detail], true_value: trueValue };
    default:
      throw new Error(`no such defect: ${kind satisfies never}`);
  }
}
