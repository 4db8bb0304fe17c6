import assert from "node:assert/strict";
import fc from "fast-check";
import { sortedOrder } from "../../src/replay/sort.ts";

Deno.test("sortedOrder() equals a stable sort, for few keys, many, and stretches in order", () => {
  const key = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer(), fc.constant(-Infinity));
  const stretches = fc.array(fc.array(key).map((keys) => keys.sort((a, b) => a - b)), {
    maxLength: 6,
  }).map((parts) => parts.flat());
  fc.assert(fc.property(fc.oneof(fc.array(key), stretches), (keys) => {
    const order = [...sortedOrder(Float64Array.from([...keys, 77]), keys.length)];
    const compare = (a: number, b: number) => Number(keys[a] > keys[b]) - Number(keys[a] < keys[b]);
    assert.deepEqual(order, keys.map((_, i) => i).sort(compare));
  }));
});
