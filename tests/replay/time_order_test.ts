import assert from "node:assert/strict";
import fc from "fast-check";
import { atPlaces, placesInOrder } from "../../src/replay/time_order.ts";

Deno.test("placesInOrder() is a stable sort, of keys near each other, far apart, and few", () => {
  const step = fc.constantFrom(1, 7, 1000, 1_800_000, 3_600_000_001);
  const steps = fc.array(fc.integer({ min: -60, max: 60 }), { maxLength: 120 });
  const far = fc.array(fc.integer({ min: -1e13, max: 1e13 }), { maxLength: 40 });
  fc.assert(
    fc.property(step, steps, far, fc.boolean(), (by, near, apart, isFar) => {
      const keys = Float64Array.from(isFar ? [...near, ...apart] : near, (n) => n * by);
      const right = Array.from(keys, (_, n) => n).sort((a, b) => keys[a] - keys[b] || a - b);
      assert.deepEqual(Array.from(placesInOrder(keys)), right);
      assert.deepEqual(Array.from(atPlaces(keys, right)), right.map((n) => keys[n]));
    }),
  );
});
