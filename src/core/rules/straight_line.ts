import { isNews, type JudgedSlot, type RuleNumbers, type Say, type SlotRule } from "./slot_rule.ts";

/** From its first reading to its last. */
const RISE_MWH_MIN = 20_000;
/** By so much a step may differ from the first. */
const STEP_MWH_MAX = 1000;
/** Its numbers: how many readings the line has, its first step, and its rise so far. */
const READINGS = 0;
const STEP = 1;
const RISE = 2;

/**
 * `STRAIGHT_LINE`: `readingsMin` readings or more in equal steps of one sign (to 1 Wh), 20 Wh in all:
 * somebody has filled them in.
 */
export const straightLine = (readingsMin: number): SlotRule => ({
  name: "STRAIGHT_LINE",
  severity: "warn",
  threshold: readingsMin,
  numbers: 3,
  slot(slot, kept, say) {
    const step = slot.mwh - slot.beforeMwh;
    const first = kept.get(STEP);
    const goesOn = kept.get(READINGS) > 1 && Math.sign(step) === Math.sign(first) &&
      Math.abs(step - first) <= STEP_MWH_MAX;
    if (goesOn) {
      kept.set(READINGS, kept.get(READINGS) + 1);
      kept.set(RISE, kept.get(RISE) + step);
      if (isLine(kept, readingsMin) && isNews(kept.get(READINGS), readingsMin)) {
        sayLine(slot.atMs + slot.intervalMs, slot, kept, say);
      }
      return slot.mwh;
    }
    if (isLine(kept, readingsMin)) sayLine(slot.atMs, slot, kept, say);
    const begins = step !== 0 && !Number.isNaN(step);
    kept.set(READINGS, begins ? 2 : 0);
    kept.set(STEP, begins ? step : 0);
    kept.set(RISE, begins ? step : 0);
    return slot.mwh;
  },
  soFar(slot, kept, say) {
    if (isLine(kept, readingsMin)) sayLine(slot.atMs + slot.intervalMs, slot, kept, say);
  },
});

function isLine(kept: RuleNumbers, readingsMin: number): boolean {
  return kept.get(READINGS) >= readingsMin && Math.abs(kept.get(RISE)) >= RISE_MWH_MIN;
}

function sayLine(toMs: number, { intervalMs }: JudgedSlot, kept: RuleNumbers, say: Say): void {
  const slots = kept.get(READINGS);
  const fromMs = toMs - slots * intervalMs;
  say({ fromMs, toMs, slots, value: kept.get(STEP), limit: NaN, detail: "" });
}
