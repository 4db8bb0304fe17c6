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

/** The rules that follow slots, in the order in which they judge. */
export const SLOT_RULES: readonly SlotRule[] = [
  spike,
  highDay,
  lowDay,
  unitScale,
  zeroRun,
  stuck,
  straightLine,
  repeatedDay,
];

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
    if (rule.severity !== undefined) sayReading(step, rule.name, rule.severity, reading);
  }
  return flags ?? NO_FLAGS;
}

function sayReading(
  { outputs, placing: { offSlotMs, intervalMs } }: Step,
  rule: string,
  severity: Severity,
  { offset, meterId, timestampMs, consumptionKwh }: ValidatedReading,
): void {
  const fromMs = timestampMs - offSlotMs;
  const toMs = fromMs + intervalMs;
  const value = mwhOf(consumptionKwh);
  const found = { fromMs, toMs, slots: 1, value, limit: NaN, detail: "" };
  outputs.findings.push({ ...found, offset, meterId, rule, severity });
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
