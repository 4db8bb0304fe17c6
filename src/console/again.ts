import { quoteWord } from "./quote.ts";

const COMMAND_CHARS_MAX = 400;

/**
 * A command line as it will do, ready to be pasted; of a long one, with many files, what differs:
 * `instead`, the words that are new in it.
 */
export function commandAgain(words: readonly string[], instead: readonly string[]): string {
  const command = ["gridwatch", ...words].map(quoteWord).join(" ");
  if (command.length <= COMMAND_CHARS_MAX) return command;
  return `the same command with ${instead.map(quoteWord).join(" ")}`;
}
