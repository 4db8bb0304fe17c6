import type { MeterTable } from "../meters.ts";
import type { ProcessorOptions } from "../options.ts";
import type { ValidatedReading } from "../outputs.ts";
import { negative } from "./negative.ts";
import type { Step } from "../step.ts";
import type { Rule, RuleMemory } from "./rule.ts";
import { capacity } from "./capacity.ts";
import { mwhOf } from "./energy.ts";
import { highDay } from "./high_day.ts";
import { lowDay } from "./low_day.ts";
import { repeatedDay } from "./repeated_day.ts";
import type { Severity, SlotRule } from "./slot_rule.ts";
import { spike } from "./spike.ts";
import { straightLine } from "./straight_line.ts";
import { stuck } from "./stuck.ts";
import { unitScale } from "./unit_scale.ts";
import { zeroRun } from "./zero_run.ts";
import { timeShift } from "./time_shift.ts";

/** The rules that Gridwatch brings, in the order in which a reading carries their flags. */
export const RULES: readonly Rule[] = [negative, capacity, timeShift];

/** The threshold of each rule that follows slots, as its file explains it; null: the rule is off. */
export type SlotThresholds = {
  readonly spikeTimes: number | null;
  readonly highDayTimes: number | null;
  readonly lowDayTimes: number | null;
  readonly unitScaleTimes: number | null;
  readonly zeroRunHours: number | null;
  readonly stuckHours: number | null;
  readonly straightLineReadings: number | null;
  readonly repeatedDayChanges: number | null;
};

/** The rules that follow slots, in the order in which they judge. */
export function slotRulesOf(thresholds: SlotThresholds): readonly SlotRule[] {
  const { spikeTimes, highDayTimes, lowDayTimes, unitScaleTimes } = thresholds;
  const { zeroRunHours, stuckHours, straightLineReadings, repeatedDayChanges } = thresholds;
  const rules: readonly (readonly [(threshold: number) => SlotRule, number | null])[] = [
    [spike, spikeTimes],
    [highDay, highDayTimes],
    [lowDay, lowDayTimes],
    [unitScale, unitScaleTimes],
    [zeroRun, zeroRunHours],
    [stuck, stuckHours],
    [straightLine, straightLineReadings],
    [repeatedDay, repeatedDayChanges],
  ];
  return rules.flatMap(([rule, threshold]) => threshold === null ? [] : [rule(threshold)]);
}

/** The flags of a reading that fails no rule. */
export const NO_FLAGS: readonly string[] = Object.freeze([]);

/** The rules that judge by these options. */
export function rulesOf(options: ProcessorOptions): readonly Rule[] {
  return options.rules.filter((rule) => rule.isOn?.(options) ?? true);
}

/**
 * Judges an accepted reading of meter i by every rule; returns the names of those it fails. What
 * cannot be a value at all is said as a finding besides.
 */
export function flagReading(
  { meters, rules, options }: {
    readonly meters: MeterTable;
    readonly rules: readonly Rule[];
    readonly options: ProcessorOptions;
  },
  i: number,
  reading: ValidatedReading,
  step: Step,
): readonly string[] {
  const { placing } = step;
  let flags: string[] | null = null;
  for (let r = 0; r < rules.length; r++) {
    const rule = rules[r];
    const remembered = rule.memory === undefined ? undefined : recall(meters, i, r, rule.memory);
    if (!rule.fails(reading, placing, options, remembered)) continue;
    (flags ??= []).push(rule.name);
    if (rule.severity !== undefined) sayReading(step, rule, rule.severity, reading);
  }
  return flags ?? NO_FLAGS;
}

function sayReading(
  { outputs, options, placing }: Step,
  rule: Rule,
  severity: Severity,
  { offset, meterId, timestampMs, consumptionKwh }: ValidatedReading,
): void {
  const fromMs = timestampMs - placing.offSlotMs;
  const toMs = fromMs + placing.intervalMs;
  const value = mwhOf(consumptionKwh);
  const limit = rule.limitOf?.(placing, options) ?? NaN;
  const found = { fromMs, toMs, slots: 1, value, limit, detail: "" };
  outputs.findings.push({ ...found, offset, meterId, rule: rule.name, severity });
}

/** What the rule at place `r` remembers of meter i, from its first reading on. */
function recall(
  meters: MeterTable,
  i: number,
  r: number,
  memory: RuleMemory<unknown>,
): unknown {
  return meters.memories.get(i)?.[r] ?? meters.remember(i, r, memory.begin());
}
