/** The toolkit under Node: a line of JSON in, a line out. */
import process from "node:process";
import { createInterface } from "node:readline";
import { judgeLines } from "./judge_lines.ts";

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(judgeLines(JSON.parse(line)))}\n`);
}
