import {
  isNews,
  type JudgedSlot,
  type RuleNumbers,
  type Say,
  type SlotRule,
  slotsFor,
} from "./slot_rule.ts";

const SLOTS_MIN = 16;
const HOUR_MS = 3_600_000;
/** Its number: where the run of one value begins. */
const FROM_MS = 0;

/** `STUCK`: the same value, which is not 0, in 16 slots in a row and for so many hours. */
export const stuck = (hours: number): SlotRule => {
  const slotsMin = ({ intervalMs }: JudgedSlot): number =>
    Math.max(SLOTS_MIN, slotsFor(hours * HOUR_MS, intervalMs));
  /** Says a run of one value up to the slot at `toMs`, if it is long enough. */
  const sayTo = (toMs: number, slot: JudgedSlot, kept: RuleNumbers, say: Say): void => {
    const slots = slotsTo(toMs, slot, kept);
    if (slots < slotsMin(slot)) return;
    const value = toMs === slot.atMs ? slot.beforeMwh : slot.mwh;
    say({ fromMs: kept.get(FROM_MS), toMs, slots, value, limit: NaN, detail: "" });
  };
  return {
    name: "STUCK",
    severity: "warn",
    threshold: hours,
    numbers: 1,
    slot(slot, kept, say) {
      const { atMs, intervalMs, mwh } = slot;
      if (mwh === slot.beforeMwh && mwh !== 0) {
        const toMs = atMs + intervalMs;
        if (isNews(slotsTo(toMs, slot, kept), slotsMin(slot))) sayTo(toMs, slot, kept, say);
        return mwh;
      }
      sayTo(atMs, slot, kept, say);
      kept.set(FROM_MS, mwh > 0 ? atMs : 0);
      return mwh;
    },
    soFar: (slot, kept, say) => sayTo(slot.atMs + slot.intervalMs, slot, kept, say),
  };
};

function slotsTo(toMs: number, { intervalMs }: JudgedSlot, kept: RuleNumbers): number {
  const fromMs = kept.get(FROM_MS);
  return fromMs === 0 ? 0 : Math.round((toMs - fromMs) / intervalMs);
}
