import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { OwnRule } from "../core/rules/own_rule.ts";
import type { Rule } from "../core/rules/rule.ts";
import { RULES } from "../core/rules/rules.ts";
import type { SlotRule } from "../core/rules/slot_rule.ts";
import { RunError } from "./errors.ts";
import { attempt } from "./output_file.ts";

/** Names that are taken, by rules of ours and by sections of the state. */
const TAKEN = [
  ...RULES.map(({ name }) => name),
  ...["SPIKE", "HIGH_DAY", "LOW_DAY", "UNIT_SCALE", "ZERO_RUN", "STUCK", "STRAIGHT_LINE"],
  ...["REPEATED_DAY", "REVISES"],
];
const NUMBERS_MAX = 64;

/**
 * Loads the user's own rules: each is the default export of a module.
 *
 * @throws {RunError} when a module cannot be loaded, or is no rule
 */
export async function loadOwnRules(files: readonly string[]): Promise<OwnRule[]> {
  const rules: OwnRule[] = [];
  for (const file of files) {
    const text = await attempt(`read ${file}`, () => Deno.readTextFile(file));
    const { pathname } = pathToFileURL(resolve(file));
    const module = await attempt(`load the rule ${file}`, () => import(`file://${pathname}`));
    const rule: unknown = module.default;
    const fault = faultOf(rule, rules.map((own) => own.rule.name));
    if (fault !== null) {
      throw new RunError(`Cannot use the rule ${file}: ${fault}`, "docs/validation.md has one");
    }
    rules.push({ hash: await hashOf(text), rule: rule as OwnRule["rule"] });
  }
  return rules;
}

/** What keeps a value from being a rule; null: it is one. */
function faultOf(value: unknown, taken: readonly string[]): string | null {
  if (typeof value !== "object" || value === null) return "its default export must be a rule";
  const { name, severity, numbers, slot, day, fails } = value as Partial<SlotRule & Rule>;
  if (typeof name !== "string" || !/^[A-Z][A-Z0-9_]{0,39}$/.test(name)) {
    return "name must be capitals, digits and _, such as HIGH_NIGHT";
  }
  if ([...TAKEN, ...taken].includes(name)) return `${name} is the name of another rule`;
  if (severity !== "warn" && severity !== "error") return 'severity must be "warn" or "error"';
  const isReadingRule = typeof fails === "function";
  const isSlotRule = typeof slot === "function" || typeof day === "function";
  if (isReadingRule === isSlotRule) {
    return "it must have either `fails`, or `slot` and `day` or one of them";
  }
  const isCount = Number.isInteger(numbers) && Number(numbers) >= 0;
  if (isSlotRule && !(isCount && Number(numbers) <= NUMBERS_MAX)) {
    return `numbers must be a whole number from 0 to ${NUMBERS_MAX}`;
  }
  return null;
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest, 0, 8).toHex();
}
