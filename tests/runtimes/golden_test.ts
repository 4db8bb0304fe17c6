/** One golden stream, in every runtime: the bytes are those that the processor writes. */
import { assertGolden, readGolden, readRaw } from "../golden/golden.ts";
import { inFolder } from "../commands/command_line.ts";
import type { JudgeAnswer } from "./judge_lines.ts";
import { openJudge, type Runtime, RUNTIMES, runtimeTest } from "./runtimes.ts";

const STREAM = "series";
const TOPICS = ["validated", "gap_alerts", "late_events", "rejected", "validation"] as const;
const ALL: readonly (Runtime | "deno")[] = ["deno", ...RUNTIMES];

async function assertMessages(answers: readonly JudgeAnswer[], how: string): Promise<void> {
  for (const topic of TOPICS) {
    const said = answers.map((answer) => answer[topic]).join("");
    assertGolden(said, await readGolden(STREAM, topic), `${topic}, ${how}`);
  }
}

for (const runtime of ALL) {
  const needed = runtime === "deno" ? [] : [runtime];
  await runtimeTest(
    needed,
    `the toolkit in ${runtime} says the golden messages, byte for byte`,
    () =>
      inFolder(async (folder) => {
        await using judge = await openJudge(runtime, folder);
        const lines = await readRaw(STREAM);
        await assertMessages([await judge.judge({ options: {}, lines, saved: null })], runtime);
      }),
  );
}

// From each to the next, and from the last to the first: no runtime reads its own state alone.
const ROUND = ["deno", "chromium", "node", "workerd"] as const;

await runtimeTest(
  RUNTIMES,
  "a state saved in one runtime goes on in another, to the same messages",
  () =>
    inFolder(async (folder) => {
      await using stack = new AsyncDisposableStack();
      const lines = await readRaw(STREAM);
      const judges = [];
      for (const runtime of ROUND) judges.push(stack.use(await openJudge(runtime, folder)));
      const size = Math.ceil(lines.length / 9);
      const answers: JudgeAnswer[] = [];
      for (let at = 0; at < lines.length; at += size) {
        const judge = judges[answers.length % judges.length];
        const saved = answers.at(-1)?.saved ?? null;
        answers.push(await judge.judge({ options: {}, lines: lines.slice(at, at + size), saved }));
      }
      await assertMessages(answers, `by turns in ${ROUND.join(", ")}`);
    }),
);
