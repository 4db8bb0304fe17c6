import { formatTimestamp } from "../core/time.ts";
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
import { RULES_OF_WRONG, type Wrong, WRONG_KINDS, type WrongKind } from "./wrong_values.ts";

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

/** How many there are of each kind; of wrong values where the plan was asked for them. */
export function countDefects(
  { options, defectsByMeter, wrongsByMeter }: FleetPlan,
): Readonly<Record<DefectKind, number> & Partial<Record<WrongKind, number>>> {
  const kinds = options.hasWrongs ? [...DEFECT_KINDS, ...WRONG_KINDS] : DEFECT_KINDS;
  const counts = Object.fromEntries(kinds.map((kind) => [kind, 0]));
  for (const { kind } of [...defectsByMeter.flat(), ...wrongsByMeter.flat()]) counts[kind]++;
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
    defects: [],
  };
  const text = JSON.stringify(head, null, 2);
  yield text.slice(0, text.lastIndexOf("]"));
  let separator = "\n    ";
  for (const [meter, defects] of plan.defectsByMeter.entries()) {
    const truths = [
      ...defects.map((defect) => ({ at: defect.from, truth: truthOf(defect, plan) })),
      ...plan.wrongsByMeter[meter].map((wrong) => ({
        at: wrong.from,
        truth: wrongOf(wrong, plan),
      })),
    ].sort((a, b) => a.at - b.at);
    const lines = truths.map(({ truth }) => JSON.stringify(truth));
    if (lines.length > 0) yield separator + lines.join(",\n    ");
    if (lines.length > 0) separator = ",\n    ";
  }
  yield "\n  ]\n}\n";
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

function wrongOf({ kind, meter, from, to, detail }: Wrong, { options, intervalMs }: FleetPlan) {
  const timeOf = (slot: number) => formatTimestamp(options.startMs + slot * intervalMs);
  const span = {
    ...{ kind, meter_id: meterId(meter), from: timeOf(from), to: timeOf(to) },
    ...{ intervals: to - from, rules: RULES_OF_WRONG[kind] },
  };
  if (kind === "swapped") return { ...span, with_meter_id: meterId(detail) };
  if (kind === "clock_shift") return { ...span, shift_minutes: detail * options.intervalMinutes };
  return span;
}
