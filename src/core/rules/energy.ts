const HOUR_MS = 3_600_000;

/** Energy in whole milliwatt-hours, as every rule compares it: floor(kWh · 10⁶ + ½). */
export function mwhOf(kwh: number): number {
  return Math.floor(kwh * 1e6 + 0.5);
}

/** The same energy in kWh, as it is told. */
export function kwhOf(mwh: number): number {
  return mwh / 1e6;
}

/** The energy of so many kW over an interval, milliwatt-hours. */
export function mwhOfPower(kw: number, intervalMs: number): number {
  return kw * 1e6 * (intervalMs / HOUR_MS);
}
