import { mwhOfPower } from "./energy.ts";
import type { JudgedSlot, SlotRule } from "./slot_rule.ts";

/** Days with readings among the 28 before, without which nothing is unusual. */
const DAYS_MIN = 7;
/** Its numbers: where the episode begins, and the highest reading in it. */
const FROM_MS = 0;
const HIGHEST = 1;

/** A peak that its neighbours share must be so much higher than one that towers over them. */
const ALONE_TO_SHARED = 4 / 3;

/**
 * `SPIKE`: x > `times` · max(M₂₈, 1 kW·s) and x > 3 × each valid neighbour, or x > 4/3 · `times` ·
 * max(M₂₈, 3 kW·s), with M₂₈ the highest reading of the 28 days before and s the interval. Tuned on a
 * hundred London meter-years, with 1.5 times.
 */
export const spike = (times: number): SlotRule => ({
  name: "SPIKE",
  severity: "warn",
  threshold: times,
  numbers: 2,
  slot(slot, kept, say) {
    const { atMs, intervalMs, mwh } = slot;
    const limit = limitOf(slot, times);
    if (!(mwh > limit)) {
      kept.set(FROM_MS, 0);
      return mwh;
    }
    if (kept.get(FROM_MS) === 0) {
      kept.set(FROM_MS, atMs);
      kept.set(HIGHEST, 0);
    }
    const fromMs = kept.get(FROM_MS);
    kept.set(HIGHEST, Math.max(kept.get(HIGHEST), mwh));
    const slots = Math.round((atMs - fromMs) / intervalMs) + 1;
    const toMs = atMs + intervalMs;
    say({ fromMs, toMs, slots, value: kept.get(HIGHEST), limit, detail: "" });
    return limit;
  },
});

/** What the slot must not exceed; Infinity: there is nothing to hold it against. */
function limitOf(slot: JudgedSlot, times: number): number {
  const { mwh, intervalMs, highestMwh } = slot;
  if (slot.historyDays < DAYS_MIN) return Infinity;
  const low = times * Math.max(highestMwh, mwhOfPower(1, intervalMs));
  // A neighbour that is NaN is none.
  if (mwh > low && !(mwh <= 3 * slot.beforeMwh) && !(mwh <= 3 * slot.afterMwh)) return low;
  return times * ALONE_TO_SHARED * Math.max(highestMwh, mwhOfPower(3, intervalMs));
}
