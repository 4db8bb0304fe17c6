import type { MeterTable } from "../meters.ts";
import type { ProcessorOptions } from "../options.ts";
import type { ValidatedReading } from "../outputs.ts";
import { negative } from "./negative.ts";
import type { Placing, Rule, RuleMemory } from "./rule.ts";
import { highDay } from "./high_day.ts";
import { lowDay } from "./low_day.ts";
import { repeatedDay } from "./repeated_day.ts";
import type { SlotRule } from "./slot_rule.ts";
import { spike } from "./spike.ts";
import { straightLine } from "./straight_line.ts";
import { stuck } from "./stuck.ts";
import { unitScale } from "./unit_scale.ts";
import { zeroRun } from "./zero_run.ts";
import { timeShift } from "./time_shift.ts";

/** The rules that Gridwatch brings, in the order in which a reading carries their flags. */
export const RULES: readonly Rule[] = [negative, timeShift];

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

/** Judges an accepted reading of meter i by every rule; returns the names of those it fails. */
export function flagReading(
  { meters, rules, options }: {
    readonly meters: MeterTable;
    readonly rules: readonly Rule[];
    readonly options: ProcessorOptions;
  },
  i: number,
  reading: ValidatedReading,
  placing: Readonly<Placing>,
): readonly string[] {
  let flags: string[] | null = null;
  for (let r = 0; r < rules.length; r++) {
    const rule = rules[r];
    const remembered = rule.memory === undefined ? undefined : recall(meters, i, r, rule.memory);
    if (rule.fails(reading, placing, options, remembered)) (flags ??= []).push(rule.name);
  }
  return flags ?? NO_FLAGS;
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
