import assert from "node:assert/strict";
import { findUnread } from "../../../src/commands/verify/kafka.ts";
import { emptyLedger } from "../../../src/core/ledger.ts";

Deno.test("findUnread() names the partitions that have raw records and no account, and no others", async () => {
  const ends = { start: [0, 0, 5, 5], committedEnd: [9, 0, 5, 6] };
  const admin = {
    listOffsets: (refs: readonly { topic: string; partition: number }[], at: string) =>
      Promise.resolve(refs.map(({ topic, partition }) => {
        const offset = ends[at as keyof typeof ends][partition - 1];
        return { topic, partition, offset };
      })),
  };
  const none = [1, 2, 3, 4].map((partition) => ({ partition, ledger: null }));
  const results = [{ partition: 0, ledger: emptyLedger() }, ...none];
  assert.deepEqual(await findUnread(results, "raw", admin), [1, 4]);
});
