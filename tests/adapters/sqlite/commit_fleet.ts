/**
 * Commits the fleet's log into a directory, a few records at a time, and tells of each commit on a
 * line. A test runs this to kill it.
 */
import { SqliteStore } from "../../../src/adapters/sqlite/store.ts";
import { Task } from "../../../src/engine/task.ts";
import { logOf, OPTIONS } from "../fleet_log.ts";

const COMMIT_RECORDS = 20;

if (import.meta.main) {
  const store = await SqliteStore.open(Deno.args[0]);
  const tasks: Task[] = [];
  for (const options of OPTIONS) {
    tasks.push(await Task.open(options, store, { changelogBytesMin: 20_000 }));
  }
  for (let isDone = false; !isDone;) {
    isDone = true;
    for (const task of tasks) {
      const log = logOf(task.partition);
      const batch = log.slice(task.nextOffset, task.nextOffset + COMMIT_RECORDS);
      if (batch.length === 0) continue;
      isDone = false;
      for (const bytes of batch) task.fold(bytes, 0, bytes.length, NaN);
      await store.commit(task.takeCommit()!);
      console.log(`committed ${task.partition} up to ${task.nextOffset}`);
    }
  }
  await store.close();
}
