import { bySerial } from "./due.ts";
import { announceOpenGap } from "./gap.ts";
import type { Step } from "./step.ts";
import type { TaskState } from "./task_state.ts";

/**
 * Moves the ticks' clock on and judges what is due. False: some of it is not judged yet, so the state
 * stands where it stood before the tick, but for the meters that are judged. Judged again at the
 * clock before, they say nothing: so a restored processor can fold the rest of the tick.
 */
export function moveTick(
  step: Step,
  state: TaskState,
  { timestampMs, judgeDue }: { readonly timestampMs: number; readonly judgeDue: () => boolean },
): boolean {
  const { meters, outputs, offset } = step;
  const { tickMaxMs, tickSerial } = state;
  const { partGaps, partFindings } = state;
  const gaps = partGaps - outputs.gaps.length;
  const findings = partFindings - outputs.findings.length;
  if (partGaps > 0) outputs.gapsBefore = { offset, count: partGaps };
  if (partFindings > 0) outputs.findingsBefore = { offset, count: partFindings };
  state.tickMaxMs = timestampMs;
  state.tickSerial = meters.nextSerial;
  const isWhole = judgeDue();
  state.partGaps = isWhole ? 0 : gaps + outputs.gaps.length;
  state.partFindings = isWhole ? 0 : findings + outputs.findings.length;
  if (isWhole) return true;
  state.tickMaxMs = tickMaxMs;
  state.tickSerial = tickSerial;
  state.nextOffset = offset;
  state.ledger.raw--;
  return false;
}

/** Says what goes on, gaps and runs, with the length known at the end of a replay, oldest meter first. */
export function announceOpen(step: Step, watermarkMs: (i: number) => number): void {
  const { meters } = step;
  for (const i of bySerial(meters, [...meters.indexes()])) {
    announceOpenGap(step, i, watermarkMs(i));
    meters.follower?.sayAll(step, i);
  }
}
