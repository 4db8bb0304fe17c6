/** A member of a group and the partitions it says it holds, since which generation. */
export type MemberClaim = {
  readonly memberId: string;
  readonly owned: readonly number[];
  readonly generation: number;
};

/**
 * Shares partitions out evenly, moving as few as it can: a member keeps what it holds up to its
 * share. A partition that moves is left out until its holder has given it up: the holder sees that
 * it is gone, stops, and joins again, and then it is free. So no partition has two owners, and
 * those that stay are never stopped (KIP-429, "cooperative").
 *
 * The same claims give the same answer, in whatever order they come.
 */
export function assignPartitions(
  partitionCount: number,
  claims: readonly MemberClaim[],
): Map<string, number[]> {
  const members = [...claims].sort((a, b) => a.memberId < b.memberId ? -1 : 1);
  const holders = holdersOf(members, partitionCount);
  const target = targetOf(members, holders);
  const assigned = new Map(members.map(({ memberId }) => [memberId, [] as number[]]));
  for (const [partition, memberId] of target.entries()) {
    const holder = holders[partition];
    if (holder === null || holder === memberId) assigned.get(memberId)?.push(partition);
  }
  return assigned;
}

/** Who holds each partition; of two that claim one, that of the later generation. */
function holdersOf(members: readonly MemberClaim[], partitionCount: number): (string | null)[] {
  const holders = new Array<string | null>(partitionCount).fill(null);
  const since = new Array<number>(partitionCount).fill(-Infinity);
  for (const { memberId, owned, generation } of members) {
    for (const partition of owned) {
      if (partition >= partitionCount || generation <= since[partition]) continue;
      holders[partition] = memberId;
      since[partition] = generation;
    }
  }
  return holders;
}

/** Who is to hold each partition in the end. */
function targetOf(
  members: readonly MemberClaim[],
  holders: readonly (string | null)[],
): string[] {
  const share = Math.floor(holders.length / members.length);
  let larger = holders.length % members.length;
  const load = new Map(members.map(({ memberId }) => [memberId, 0]));
  const target = new Array<string | null>(holders.length).fill(null);
  for (const { memberId } of members) {
    const held = holders.flatMap((holder, partition) => holder === memberId ? [partition] : []);
    const mayHaveMore = held.length > share && larger > 0;
    if (mayHaveMore) larger--;
    const kept = held.slice(0, share + (mayHaveMore ? 1 : 0));
    for (const partition of kept) target[partition] = memberId;
    load.set(memberId, kept.length);
  }
  return target.map((memberId) => memberId ?? takeLeastLoaded(load));
}

function takeLeastLoaded(load: Map<string, number>): string {
  let least = "";
  let leastCount = Infinity;
  for (const [memberId, count] of load) {
    if (count < leastCount) {
      least = memberId;
      leastCount = count;
    }
  }
  load.set(least, leastCount + 1);
  return least;
}
