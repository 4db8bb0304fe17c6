import type { SinkCommit, SinkMove, SinkRun } from "./ports.ts";

/**
 * A commit in two that follow each other, about half of the messages each; null: there are not two.
 * A store may be able to take them one after another where it cannot take all at once. The account
 * comes last, with every topic that has no messages: rows go ahead of the ledger that counts them,
 * never behind it.
 */
export function splitCommit(commit: SinkCommit): readonly [SinkCommit, SinkCommit] | null {
  const { partition, moves, account } = commit;
  const total = commit.runs.reduce((sum, { first, end }) => sum + end - first, 0);
  if (total < 2) return null;
  const [before, behind] = cutRuns(commit.runs, total >> 1);
  const firstMoves: SinkMove[] = [];
  const restMoves: SinkMove[] = [];
  for (const move of moves) {
    const messages = countOf(before, move.topic);
    const next = behind.find(({ batch }) => batch.topic === move.topic);
    const to = messages === 0 ? move.from : next?.batch.offsets[next.first] ?? move.to;
    if (to > move.from) firstMoves.push({ ...move, to, messages });
    if (move.to > to) restMoves.push({ ...move, from: to, messages: move.messages - messages });
  }
  return [
    { partition, moves: firstMoves, runs: before, account: null },
    { partition, moves: restMoves, runs: behind, account },
  ];
}

function cutRuns(runs: readonly SinkRun[], messages: number): [SinkRun[], SinkRun[]] {
  const before: SinkRun[] = [];
  const behind: SinkRun[] = [];
  let left = messages;
  for (const run of runs) {
    const cut = Math.min(run.end, run.first + left);
    if (cut > run.first) before.push({ ...run, end: cut });
    if (run.end > cut) behind.push({ ...run, first: cut });
    left -= cut - run.first;
  }
  return [before, behind];
}

function countOf(runs: readonly SinkRun[], topic: string): number {
  return runs.reduce((sum, { batch, first, end }) => {
    return batch.topic === topic ? sum + end - first : sum;
  }, 0);
}
