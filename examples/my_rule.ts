/**
 * A rule of one's own: more than 3 kW between midnight and five in the morning (UTC). It is turned on
 * by naming it in config.yaml: `rules: [./my_rule.ts]`. Energies are in milliwatt-hours.
 */
import type { SlotRule } from "@gridwatch/gridwatch";

const LIMIT_KW = 3;

const highNight: SlotRule = {
  name: "HIGH_NIGHT",
  severity: "warn",
  numbers: 0,
  slot({ atMs, intervalMs, mwh }, _kept, say) {
    const limit = LIMIT_KW * 1e6 * (intervalMs / 3_600_000);
    if (new Date(atMs).getUTCHours() < 5 && mwh > limit) {
      say({ fromMs: atMs, toMs: atMs + intervalMs, slots: 1, value: mwh, limit, detail: "" });
    }
    return mwh; // what it counts as in the history
  },
};
export default highNight;
