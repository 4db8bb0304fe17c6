import {
  isNews,
  type JudgedSlot,
  type RuleNumbers,
  type Say,
  type SlotRule,
  slotsFor,
} from "./slot_rule.ts";

const HOUR_MS = 3_600_000;
/** So many hours of zeros are told of any meter. */
const HOURS_OF_ANY = 168;
/** Its number: where the run begins; below 0: where zeros were not rare. */
const FROM_MS = 0;

/**
 * `ZERO_RUN`: so many hours of zeros where at most a tenth of the history's readings were 0 (and there
 * are 7 days' worth of them), or 7 days of zeros of any meter.
 */
export const zeroRun = (hours: number): SlotRule => {
  const runTo = (toMs: number, intervalMs: number, kept: RuleNumbers) => {
    const areZerosRare = kept.get(FROM_MS) > 0;
    const fromMs = Math.abs(kept.get(FROM_MS));
    const slots = Math.round((toMs - fromMs) / intervalMs);
    const hoursMin = areZerosRare ? hours : Math.max(hours, HOURS_OF_ANY);
    return { fromMs, slots, slotsMin: slotsFor(hoursMin * HOUR_MS, intervalMs) };
  };
  /** Says a run up to the slot at `toMs`, if it is long enough. */
  const sayTo = (toMs: number, slot: JudgedSlot, kept: RuleNumbers, say: Say): void => {
    if (kept.get(FROM_MS) === 0) return;
    const { fromMs, slots, slotsMin } = runTo(toMs, slot.intervalMs, kept);
    if (slots >= slotsMin) say({ fromMs, toMs, slots, value: 0, limit: NaN, detail: "" });
  };
  return {
    name: "ZERO_RUN",
    severity: "warn",
    threshold: hours,
    numbers: 1,
    slot(slot, kept, say) {
      const { atMs, intervalMs, mwh } = slot;
      if (mwh !== 0) {
        sayTo(atMs, slot, kept, say);
        kept.set(FROM_MS, 0);
        return mwh;
      }
      if (kept.get(FROM_MS) === 0) kept.set(FROM_MS, slot.areZerosRare ? atMs : -atMs);
      const toMs = atMs + intervalMs;
      const { slots, slotsMin } = runTo(toMs, intervalMs, kept);
      if (isNews(slots, slotsMin)) sayTo(toMs, slot, kept, say);
      return mwh;
    },
    soFar: (slot, kept, say) => sayTo(slot.atMs + slot.intervalMs, slot, kept, say),
  };
};
