/** A process that commits the fleet's log, killed with SIGKILL. */
import assert from "node:assert/strict";

const COMMITTER = "tests/adapters/sqlite/commit_fleet.ts";

/** Runs another process that commits the fleet's log into a directory until it is killed. */
function spawnCommitter(directory: string, retentionDays: number): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", COMMITTER, directory, String(retentionDays)],
    cwd: new URL("../../..", import.meta.url),
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Kills a committer once it has told of so many commits, in the middle of the next; false: it ended. */
export async function killAfter(
  directory: string,
  commits: number,
  { retentionDays = 0 } = {},
): Promise<boolean> {
  const child = spawnCommitter(directory, retentionDays);
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (let lines = 0; lines < commits;) {
    const { value, done } = await reader.read();
    if (done) {
      assert.equal((await child.status).code, 0, await stderr);
      return false;
    }
    lines += value.split("\n").length - 1;
  }
  child.kill("SIGKILL");
  while (!(await reader.read()).done);
  await stderr;
  await child.status;
  return true;
}
