import type { FleetOptions } from "./fleet.ts";
import { createRandom, hash32, normalOf32, randomNormal } from "./random.ts";

/** A household of scale 1: its share of the fleet in %, and kW by part of the day. */
const PROFILES = [
  // A family; a small flat; somebody at home all day; electric storage heating at night.
  { share: 45, base: 0.16, morning: 0.45, day: 0.15, weekendDay: 0.4, evening: 0.95, night: 0 },
  { share: 25, base: 0.07, morning: 0.18, day: 0.04, weekendDay: 0.15, evening: 0.4, night: 0 },
  { share: 15, base: 0.14, morning: 0.3, day: 0.4, weekendDay: 0.4, evening: 0.65, night: 0 },
  { share: 15, base: 0.1, morning: 0.3, day: 0.1, weekendDay: 0.25, evening: 0.6, night: 1.6 },
] as const;
const BINS_A_DAY = 288;

/** A day's curve (hour to kW), averaged over an interval from each five minutes on. */
function averageCurve(intervalMinutes: number, curve: (hour: number) => number): Float64Array {
  const bins = Math.max(1, Math.round(intervalMinutes / 5));
  return Float64Array.from({ length: BINS_A_DAY }, (_, bin) => {
    let sum = 0;
    for (let i = 0; i < bins; i++) sum += curve((((bin + i) % BINS_A_DAY) + 0.5) / 12);
    return sum / bins;
  });
}

/** A hump of the day, 1 at its centre; the hours go round. */
function hump(hour: number, centre: number, width: number): number {
  const away = Math.abs(hour - centre);
  return Math.exp(-0.5 * (Math.min(away, 24 - away) / width) ** 2);
}

/**
 * The true consumption. A meter's hangs on the seed, its index and the time alone: it is the same
 * in a larger fleet and under any defects. Ask each meter once a slot: its noise moves on.
 */
export function createLoad({ seed, meters, intervalMinutes }: FleetOptions) {
  const hours = intervalMinutes / 60;
  const memory = Math.exp(-intervalMinutes / 90);
  const spread = 0.4 / (1 + hours / 8), shock = spread * Math.sqrt(1 - memory ** 2);
  const night = averageCurve(intervalMinutes, (hour) => hump(hour, 3.5, 1.6));
  const curves = PROFILES.map((of) =>
    [false, true].map((weekend) =>
      averageCurve(intervalMinutes, (hour) => {
        const morning = of.morning * hump(hour, weekend ? 9 : 7.3, weekend ? 1.5 : 1);
        const day = (weekend ? of.weekendDay : of.day) * hump(hour, 13, 2.8);
        return morning + day + of.evening * (0.1 + hump(hour, 18.8, 1.9));
      })
    )
  );
  const meterOf = Array.from({ length: meters }, (_, meter) => {
    const bits = hash32(hash32(seed, 3), meter);
    const random = createRandom(bits);
    let left = random() * 100;
    const profile = PROFILES.findIndex(({ share }) => (left -= share) < 0);
    const scale = Math.exp(0.4 * randomNormal(random) - 0.3);
    const shift = BINS_A_DAY + Math.round(6 * randomNormal(random));
    return { bits, profile, scale, shift, noise: 0 };
  });
  const weather = (day: number) => hash32(hash32(seed, 4), day) / 2 ** 32;
  let minute = 0, day = 0, season = 1, cold = 0;
  const beginSlot = (timeMs: number): void => {
    minute = Math.floor(timeMs / 60_000);
    day = Math.floor(minute / 1440);
    const winter = Math.cos(2 * Math.PI * (day - 15) / 365.25);
    season = 1 + 0.18 * winter;
    cold = Math.max(0, 0.45 + 0.55 * winter + 0.2 * (weather(day - 1) + weather(day) - 1));
  };
  const useWh = (index: number): number => {
    const meter = meterOf[index];
    const bits = hash32(meter.bits, minute), more = hash32(bits, 5);
    meter.noise = memory * meter.noise + shock * normalOf32(bits);
    const bin = (Math.floor((minute - day * 1440) / 5) + meter.shift) % BINS_A_DAY;
    const weekend = (day + 3) % 7 >= 5 ? 1 : 0; // day 0, 1970-01-01, was a Thursday
    const level = season * (0.75 + 0.5 * hash32(meter.bits, -day) / 2 ** 32);
    const active = curves[meter.profile][weekend][bin] * level *
      Math.exp(meter.noise - spread ** 2 / 2);
    const { base, night: heat } = PROFILES[meter.profile];
    const kw = base * (0.85 + 0.3 * (more & 0xffff) / 2 ** 16) + active + heat * night[bin] * cold;
    // Cooking: 1.8 kW for 0.3 h, as often as the house is busy.
    const chance = 0.4 * active * Math.max(hours, 0.3);
    const cookingKwh = 1.8 * Math.min(hours, 0.3) * Math.max(1, chance);
    const cooked = (more >>> 16) / 2 ** 16 < chance ? cookingKwh : 0;
    return Math.round(meter.scale * (kw * hours + cooked) * 1000);
  };
  return { beginSlot, useWh };
}
