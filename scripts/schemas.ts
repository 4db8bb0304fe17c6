/**
 * `deno task schemas`: JSON schemas of what commands print with --json, made of their types. With
 * `-` they are written to stdout instead, as one object by their files.
 *
 * The generator has an import map and a lock of its own: whatever stands in deno.lock is fetched by
 * everybody who runs a command for the first time.
 */
import { fileURLToPath } from "node:url";
import { createGenerator } from "ts-json-schema-generator";

/** Each file of docs/schemas/, and the type in src/setup/answers.ts that it is made of. */
const SCHEMAS = {
  "run.json": "RunAnswer",
  "verify.json": "VerifyAnswer",
  "query.json": "QueryAnswer",
  "kpi.json": "KpiAnswer",
} as const;

const ROOT = new URL("../", import.meta.url);
const FOLDER = new URL("docs/schemas/", ROOT);

/** A schema. It is open: a later version may only add to an answer. */
function schemaOf(type: string): unknown {
  const generator = createGenerator({
    path: fileURLToPath(new URL("src/setup/answers.ts", ROOT)),
    type,
    additionalProperties: true,
    topRef: false,
    // `deno check` does it, and knows the imports.
    skipTypeCheck: true,
  });
  return generator.createSchema(type);
}

const schemas = Object.entries(SCHEMAS).map(([name, type]) => [name, schemaOf(type)] as const);
if (Deno.args[0] === "-") {
  const text = JSON.stringify(Object.fromEntries(schemas));
  await new Blob([text]).stream().pipeTo(Deno.stdout.writable);
} else {
  await Deno.mkdir(FOLDER, { recursive: true });
  for (const [name, schema] of schemas) {
    await Deno.writeTextFile(new URL(name, FOLDER), JSON.stringify(schema, null, 2) + "\n");
  }
}
