import manifest from "../../deno.json" with { type: "json" };

/** The version; a standalone binary's has its commit behind it: `0.1.0+1a2b3c4`. */
export const VERSION: string = manifest.version + buildSuffix();

/** `deno task compile` puts the file into the binary; a checkout may have one of another day. */
function buildSuffix(): string {
  if (!Deno.build.standalone) return "";
  const path = new URL("../../dist/build.json", import.meta.url);
  const { build } = JSON.parse(Deno.readTextFileSync(path)) as { build: string };
  return `+${build}`;
}
