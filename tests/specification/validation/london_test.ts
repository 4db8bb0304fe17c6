/** The rules and incidents on 81 real meters, as counted when they were defined. */
import assert from "node:assert/strict";
import { findIncidents, type MeterGaps } from "./incidents.ts";
import { INTERVAL_MS, isPresent, readLondon } from "./london.ts";
import { DAY_MS, judgeSeries, type Slots } from "./rules.ts";

Deno.test({
  name: "The rules say of 81 London meters what was counted (../shared)",
  ignore: !isPresent(),
  async fn() {
    const counts: Record<string, number> = {};
    for (const slots of (await readLondon()).values()) {
      for (const { rule } of judgeSeries(slots)) counts[rule] = (counts[rule] ?? 0) + 1;
    }
    assert.deepEqual(counts, { SPIKE: 12, HIGH_DAY: 9, LOW_DAY: 33, ZERO_RUN: 6, STUCK: 8 });
  },
});

Deno.test({
  name: "Of 81 London meters gaps start together 15 times (../shared)",
  ignore: !isPresent(),
  async fn() {
    const london = await readLondon();
    const endMs = Math.max(...[...london.values()].map(lastMs));
    const fleet = [...london].map(([meterId, slots]): MeterGaps => {
      const starts = slots.mwh.flatMap((mwh, i) =>
        mwh === null && slots.mwh[i - 1] !== null ? [slots.startMs + i * INTERVAL_MS] : []
      );
      const stoppedMs = lastMs(slots);
      if (stoppedMs < endMs) starts.push(stoppedMs + INTERVAL_MS);
      const silentMs = endMs - stoppedMs > 7 * DAY_MS ? stoppedMs + 7 * DAY_MS : null;
      return { meterId, fromMs: slots.startMs, silentMs, starts };
    });
    const incidents = findIncidents(fleet, INTERVAL_MS);
    assert.equal(incidents.length, 15);
    assert.equal(incidents[0].incidentId, "fleet@2013-02-10T22:00:00Z");
  },
});

function lastMs({ startMs, mwh }: Slots): number {
  return startMs + (mwh.length - 1) * INTERVAL_MS;
}
