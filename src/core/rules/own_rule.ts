import type { Rule } from "./rule.ts";
import type { SlotRule } from "./slot_rule.ts";

/** A rule of the user's own; `hash`: 16 hexadecimal digits of the SHA-256 of its module's text. */
export type OwnRule = {
  readonly hash: string;
  readonly rule: Rule | SlotRule;
};
