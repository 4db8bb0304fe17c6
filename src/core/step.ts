import type { MeterTable } from "./meters.ts";
import type { ProcessorOptions } from "./options.ts";
import type { GapAlert, Outputs } from "./outputs.ts";
import type { Placing } from "./rules/rule.ts";

/** What a step of one meter needs: the state it changes, and what it was caused by. */
export type Step = {
  readonly meters: MeterTable;
  readonly options: ProcessorOptions;
  outputs: Outputs;
  /** The raw record being folded. */
  offset: number;
  /** Where the reading taken last lies. */
  readonly placing: Placing;
  /** How many gaps were announced for the first time since the last commit. */
  gapsDetected: number;
};

/** Of what was said since there were `from` gap alerts, all of one meter, keeps the last of each gap. */
export function keepLastAlerts({ outputs }: Step, from: number): void {
  const { gaps } = outputs;
  if (gaps.length - from < 2) return;
  const last = new Map<number, GapAlert>();
  for (const gap of gaps.splice(from)) {
    last.delete(gap.idMs);
    last.set(gap.idMs, gap);
  }
  gaps.push(...last.values());
}
