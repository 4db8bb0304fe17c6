import { emptyOutputs, type Outputs } from "../../core/outputs.ts";
import { type Commit, type CommitStore, FencedError, type Snapshot } from "../../engine/ports.ts";
import type { Ledger } from "../../core/ledger.ts";

type Partition = {
  nextOffset: number;
  task: Uint8Array;
  changelog: Uint8Array[];
  ledger: Readonly<Ledger>;
  watermarkMs: number | null;
  readonly outputs: Outputs;
};

/** A store in memory: a commit is a swap. For tests, simulation and benches. */
export class MemoryStore implements CommitStore {
  readonly partitions: Map<number, Partition> = new Map();

  load(partition: number): Promise<Snapshot | null> {
    const stored = this.partitions.get(partition);
    if (stored === undefined) return Promise.resolve(null);
    const { nextOffset, task, changelog } = stored;
    return Promise.resolve({ nextOffset, task, changelog: [...changelog] });
  }

  // deno-lint-ignore require-await -- a port of asynchronous stores; errors must reject
  async commit(commit: Commit): Promise<void> {
    const stored = this.partitions.get(commit.partition);
    const nextOffset = stored?.nextOffset ?? 0;
    if (nextOffset !== commit.fromOffset) {
      throw new FencedError(
        `partition ${commit.partition} stands at ${nextOffset}, not at ${commit.fromOffset}`,
      );
    }
    const outputs = stored?.outputs ?? emptyOutputs();
    append(outputs.validated, commit.outputs.validated);
    append(outputs.gaps, commit.outputs.gaps);
    append(outputs.late, commit.outputs.late);
    append(outputs.rejected, commit.outputs.rejected);
    append(outputs.findings, commit.outputs.findings);
    append(outputs.metrics, commit.outputs.metrics);
    this.partitions.set(commit.partition, {
      nextOffset: commit.nextOffset,
      task: commit.task,
      changelog: commit.compacts
        ? [...commit.changelog]
        : [...stored?.changelog ?? [], ...commit.changelog],
      ledger: commit.ledger,
      watermarkMs: commit.watermarkMs,
      outputs,
    });
  }
}

function append<T>(to: T[], from: readonly T[]): void {
  for (const item of from) to.push(item);
}
