import { parseArgs, type ParseArgsConfig } from "node:util";
import { UsageError } from "./errors.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** What `parseArgs` gives for these options. */
export type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ options: T; allowPositionals: true; strict: true; args: string[] }>
>;

/**
 * Reads a command's arguments strictly.
 *
 * @throws {UsageError} for an option that the command does not have, or one without its value.
 */
export function readArguments<T extends Options>(
  command: string,
  args: string[],
  options: T,
): Parsed<T> {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const [message] = error.message.split(". ");
    throw new UsageError(
      `Cannot ${command}: ${message[0].toLowerCase()}${message.slice(1)}`,
      `gridwatch ${command} --help`,
      { cause: error },
    );
  }
}

/**
 * A number given as an option.
 *
 * @throws {UsageError} when it is none or out of range.
 */
export function readNumber(
  command: string,
  name: string,
  text: string,
  { min, max, whole = false }: { min: number; max: number; whole?: boolean },
): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= min && value <= max && (!whole || Number.isInteger(value))) {
    return value;
  }
  throw new UsageError(
    `Cannot ${command} with --${name}="${text}": must be a ${whole ? "whole " : ""}number ` +
      `from ${min} to ${max}`,
  );
}

/**
 * Readings a second; `max`: Infinity.
 *
 * @throws {UsageError} when it is neither.
 */
export function readRate(command: string, text: string): number {
  if (text === "max") return Infinity;
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && Number.isFinite(value)) return value;
  throw new UsageError(
    `Cannot ${command} at --rate="${text}": must be a number > 0 of readings a second, or max`,
  );
}
