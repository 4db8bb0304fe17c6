import assert from "node:assert/strict";
import { Ajv } from "ajv";

const FOLDER = new URL("../docs/schemas/", import.meta.url);

/**
 * Holds what a command printed with --json against its schema in docs/schemas/. The schema is open,
 * for a later version may add to an answer; here it is closed, so that what is printed is described.
 */
export async function assertAnswer(
  schema: "run.json" | "verify.json" | "query.json" | "kpi.json",
  answer: unknown,
): Promise<void> {
  const close = (_: string, part: unknown) =>
    isObject(part) && isObject(part.properties) ? { ...part, additionalProperties: false } : part;
  const closed = JSON.parse(await Deno.readTextFile(new URL(schema, FOLDER)), close);
  const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
  const isValid = ajv.validate(closed, answer);
  assert.ok(isValid, `${schema}: ${ajv.errorsText()}: ${JSON.stringify(answer).slice(0, 500)}`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
