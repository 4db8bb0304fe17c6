import assert from "node:assert/strict";
import { murmur2, partitionOf } from "../../src/replay/partitioner.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Apache Kafka's own vectors (`UtilsTest.testMurmur2`). */
const VECTORS: [string, number][] = [
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107],
];

Deno.test("murmur2() equals Kafka's for its published vectors", () => {
  for (const [text, hash] of VECTORS) assert.equal(murmur2(encode(text)), hash, text);
});

Deno.test("murmur2() reads only its range", () => {
  for (const [text, hash] of VECTORS) {
    assert.equal(murmur2(encode(`xyz${text}xyz`), 3, 3 + text.length), hash, text);
  }
});

Deno.test("partitionOf() is the hash without its sign, modulo the partitions", () => {
  for (const [text, hash] of VECTORS) {
    for (const count of [1, 2, 12, 1000]) {
      assert.equal(partitionOf(encode(text), count), (hash & 0x7fffffff) % count);
    }
  }
  assert.equal(partitionOf(encode("xfoobar"), 12, 1), partitionOf(encode("foobar"), 12));
});
