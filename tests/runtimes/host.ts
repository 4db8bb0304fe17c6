import process from "node:process";
import { createInterface } from "node:readline";

/** What answers requests, until it is closed. */
export type Hosted<Request> = {
  answer(request: Request): Promise<unknown>;
  close(): Promise<void>;
};

/**
 * The life of a host: the first line of stdin says what it opens, each further one is a request in
 * JSON, and a line answers each. It ends with its stdin.
 */
export async function host<First, Request>(
  open: (first: First) => Promise<Hosted<Request>>,
): Promise<void> {
  let hosted: Hosted<Request> | null = null;
  for await (const line of createInterface({ input: process.stdin })) {
    let answer: unknown = {};
    try {
      if (hosted === null) hosted = await open(JSON.parse(line));
      else answer = await hosted.answer(JSON.parse(line));
    } catch (error) {
      answer = { error: error instanceof Error ? error.stack : String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await hosted?.close();
}
