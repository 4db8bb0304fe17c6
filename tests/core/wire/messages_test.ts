import assert from "node:assert/strict";
import { GOLDEN, type GoldenFile, readGolden } from "../../golden/golden.ts";

const TYPE_OF: readonly (readonly [GoldenFile, string])[] = [
  ["validated", "ValidatedMessage"],
  ["gap_alerts", "GapMessage"],
  ["late_events", "LateMessage"],
  ["rejected", "RejectedMessage"],
  ["validation", "ValidationMessage"],
  ["metrics", "MetricMessage"],
];

const SOURCE = await Deno.readTextFile(
  new URL("../../../src/core/wire/messages.ts", import.meta.url),
);

/** The fields that a type of src/core/wire/messages.ts has. */
function fieldsOf(type: string): string[] {
  const body = new RegExp(`export type ${type} = \\{([^}]*)\\}`).exec(SOURCE)?.[1] ?? "";
  return [...body.matchAll(/readonly (\w+)\??:/g)].map(([, field]) => field);
}

for (const [file, type] of TYPE_OF) {
  Deno.test(`${type} knows every field that a golden message of its kind has`, async () => {
    const fields = new Set<string>();
    for (const name of Object.keys(GOLDEN)) {
      for (const line of (await readGolden(name, file)).split("\n").slice(0, -1)) {
        Object.keys(JSON.parse(line)).forEach((field) => fields.add(field));
      }
    }
    const known = fieldsOf(type);
    assert.ok(fields.size > 2 && known.length > 2);
    assert.deepEqual([...fields].filter((field) => !known.includes(field)), []);
  });
}
