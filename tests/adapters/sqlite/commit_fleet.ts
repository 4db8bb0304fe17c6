/** Commits the fleet's log into a directory, and tells of each commit on a line. A test kills it. */
import { SqliteStore } from "../../../src/adapters/sqlite/store.ts";
import { playFleet } from "./fleet.ts";

if (import.meta.main) {
  const store = await SqliteStore.open(Deno.args[0]);
  await playFleet({
    load: (partition) => store.load(partition),
    async commit(commit) {
      await store.commit(commit);
      console.log(`committed ${commit.partition} up to ${commit.nextOffset}`);
    },
  });
  await store.close();
}
