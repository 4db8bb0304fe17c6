/**
 * Commits the fleet's log into a directory, keeping so many days where they are given, and tells of
 * each commit on a line. A test kills it.
 */
import { SqliteStore } from "../../../src/adapters/sqlite/store.ts";
import { playFleet } from "./fleet.ts";

if (import.meta.main) {
  const [directory, days = "0"] = Deno.args;
  const store = await SqliteStore.open(directory, { retentionDays: Number(days) });
  await playFleet({
    load: (partition) => store.load(partition),
    async commit(commit) {
      await store.commit(commit);
      console.log(`committed ${commit.partition} up to ${commit.nextOffset}`);
    },
  });
  await store.close();
}
