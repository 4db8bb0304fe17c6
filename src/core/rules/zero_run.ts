import { isNews, type JudgedSlot, type RuleNumbers, type Say, type SlotRule } from "./slot_rule.ts";
import { slotsFor } from "./slot_rule.ts";

const HOUR_MS = 3_600_000;
/** Its number: where the run begins; below 0: where zeros were not rare. */
const FROM_MS = 0;

/**
 * `ZERO_RUN`: 12 hours of zeros where at most a tenth of the history's readings were 0 (and there are
 * 7 days' worth of them), or 7 days of zeros of any meter.
 */
export const zeroRun: SlotRule = {
  name: "ZERO_RUN",
  severity: "warn",
  numbers: 1,
  slot(slot, kept, say) {
    const { atMs, intervalMs, mwh } = slot;
    if (mwh !== 0) {
      sayRun(atMs, slot, kept, say);
      kept.set(FROM_MS, 0);
      return mwh;
    }
    if (kept.get(FROM_MS) === 0) kept.set(FROM_MS, slot.areZerosRare ? atMs : -atMs);
    const { slots, slotsMin } = runTo(atMs + intervalMs, intervalMs, kept);
    if (isNews(slots, slotsMin)) sayRun(atMs + intervalMs, slot, kept, say);
    return mwh;
  },
  soFar: (slot, kept, say) => sayRun(slot.atMs + slot.intervalMs, slot, kept, say),
};

function runTo(toMs: number, intervalMs: number, kept: RuleNumbers) {
  const areZerosRare = kept.get(FROM_MS) > 0;
  const fromMs = Math.abs(kept.get(FROM_MS));
  const slots = Math.round((toMs - fromMs) / intervalMs);
  return { fromMs, slots, slotsMin: slotsFor((areZerosRare ? 12 : 168) * HOUR_MS, intervalMs) };
}

function sayRun(toMs: number, { intervalMs }: JudgedSlot, kept: RuleNumbers, say: Say): void {
  if (kept.get(FROM_MS) === 0) return;
  const { fromMs, slots, slotsMin } = runTo(toMs, intervalMs, kept);
  if (slots >= slotsMin) say({ fromMs, toMs, slots, value: 0, limit: NaN, detail: "" });
}
