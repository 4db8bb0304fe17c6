/**
 * Prints the gaps in a file of readings, a JSON object a line. With a second file the state is kept
 * there, and the next file goes on where this one ended:
 *
 *     node gaps.mjs monday.jsonl state.bin
 *     node gaps.mjs tuesday.jsonl state.bin
 */
import { createJudge, type GapMessage, restoreJudge } from "@gridwatch/gridwatch";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";

const [readingsFile, stateFile] = process.argv.slice(2);
const options = { intervalMinutes: 30, scope: "meter" } as const;
const judge = stateFile !== undefined && existsSync(stateFile)
  ? restoreJudge(readFileSync(stateFile), options)
  : createJudge(options);

for (const line of readFileSync(readingsFile, "utf8").split("\n")) {
  if (line !== "") judge.record(line);
}

const { gaps, rejected } = judge.take();
const latest = new Map<string, GapMessage>();
for (const gap of gaps) latest.set(gap.gap_id, gap);
for (const { meter_id, missing_from, missing_to, missing_intervals, state } of latest.values()) {
  console.log(
    `${meter_id} ${state} ${missing_from} to ${missing_to}: ${missing_intervals} missing`,
  );
}
for (const { reason, detail, raw } of rejected) console.error(`${reason}: ${detail}: ${raw}`);

if (stateFile !== undefined) {
  writeFileSync(`${stateFile}.new`, judge.save());
  renameSync(`${stateFile}.new`, stateFile); // all of it, or what was there before
}
