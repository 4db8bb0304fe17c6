/** The toolkit in a browser page, whose own script calls it. */
import { judgeLines } from "./judge_lines.ts";

Object.assign(globalThis, { judgeLines });
