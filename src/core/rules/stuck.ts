import { isNews, type JudgedSlot, type RuleNumbers, type Say, type SlotRule } from "./slot_rule.ts";
import { slotsFor } from "./slot_rule.ts";

const SLOTS_MIN = 16;
const DURATION_MS_MIN = 8 * 3_600_000;
/** Its number: where the run of one value begins. */
const FROM_MS = 0;

/** `STUCK`: the same value, which is not 0, in 16 slots in a row and for 8 hours. */
export const stuck: SlotRule = {
  name: "STUCK",
  severity: "warn",
  numbers: 1,
  slot(slot, kept, say) {
    const { atMs, intervalMs, mwh } = slot;
    if (mwh === slot.beforeMwh && mwh !== 0) {
      const toMs = atMs + intervalMs;
      if (isNews(slotsTo(toMs, slot, kept), slotsMin(slot))) sayRun(toMs, slot, mwh, kept, say);
      return mwh;
    }
    sayRun(atMs, slot, slot.beforeMwh, kept, say);
    kept.set(FROM_MS, mwh > 0 ? atMs : 0);
    return mwh;
  },
  soFar: (slot, kept, say) => sayRun(slot.atMs + slot.intervalMs, slot, slot.mwh, kept, say),
};

function slotsMin({ intervalMs }: JudgedSlot): number {
  return Math.max(SLOTS_MIN, slotsFor(DURATION_MS_MIN, intervalMs));
}

function slotsTo(toMs: number, { intervalMs }: JudgedSlot, kept: RuleNumbers): number {
  return Math.round((toMs - kept.get(FROM_MS)) / intervalMs);
}

function sayRun(toMs: number, slot: JudgedSlot, value: number, kept: RuleNumbers, say: Say): void {
  const fromMs = kept.get(FROM_MS);
  const slots = fromMs === 0 ? 0 : slotsTo(toMs, slot, kept);
  if (slots < slotsMin(slot)) return;
  say({ fromMs, toMs, slots, value, limit: NaN, detail: "" });
}
