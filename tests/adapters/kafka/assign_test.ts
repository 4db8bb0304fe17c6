import assert from "node:assert/strict";
import fc from "fast-check";
import { assignPartitions, type MemberClaim } from "../../../src/adapters/kafka/assign.ts";

/** Rounds of joining until nothing moves: each member claims what it was given. */
function settle(partitionCount: number, members: readonly string[], claims: MemberClaim[]) {
  let generation = 100;
  for (let round = 0; round < 4; round++) {
    const assigned = assignPartitions(partitionCount, claims);
    generation++;
    claims = members.map((memberId) => ({
      memberId,
      owned: assigned.get(memberId) ?? [],
      generation,
    }));
  }
  return claims;
}

const claimsOf = fc.record({
  partitionCount: fc.integer({ min: 1, max: 20 }),
  owners: fc.array(fc.integer({ min: -1, max: 6 }), { minLength: 20, maxLength: 20 }),
  memberCount: fc.integer({ min: 1, max: 7 }),
});

Deno.test("assignPartitions() never gives a held partition to another before it is let go", () => {
  fc.assert(fc.property(claimsOf, ({ partitionCount, owners, memberCount }) => {
    const claims = Array.from({ length: memberCount }, (_, member) => ({
      memberId: `m${member}`,
      owned: owners.flatMap((owner, p) => owner === member && p < partitionCount ? [p] : []),
      generation: 7,
    }));
    const assigned = assignPartitions(partitionCount, claims);
    for (const [memberId, partitions] of assigned) {
      for (const partition of partitions) {
        const holder = owners[partition];
        assert(holder < 0 || holder >= memberCount || memberId === `m${holder}`);
      }
    }
    const settled = settle(partitionCount, claims.map(({ memberId }) => memberId), claims);
    const counts = settled.map(({ owned }) => owned.length);
    assert(Math.max(...counts) - Math.min(...counts) <= 1, `${counts}`);
    const all = settled.flatMap(({ owned }) => owned).sort((a, b) => a - b);
    assert.deepEqual(all, Array.from({ length: partitionCount }, (_, p) => p));
    // As few as can be: nobody loses more than what is above its share.
    for (const { memberId, owned } of claims) {
      const kept = settled.find((other) => other.memberId === memberId)?.owned ?? [];
      const lost = owned.filter((partition) => !kept.includes(partition)).length;
      const share = Math.floor(partitionCount / memberCount);
      assert(lost <= Math.max(0, owned.length - share), `${memberId} lost ${lost} of ${owned}`);
    }
  }));
});

Deno.test("assignPartitions() believes the later generation of two that claim one partition", () => {
  const assigned = assignPartitions(2, [
    { memberId: "a", owned: [0, 1], generation: 3 },
    { memberId: "b", owned: [1], generation: 5 },
  ]);
  assert.deepEqual([...assigned], [["a", [0]], ["b", [1]]]);
});
