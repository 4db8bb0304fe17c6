/** What each door of the toolkit weighs where it is sent: one module, minified, and gzipped. */
import { bundle } from "../runtimes/runtimes.ts";

const ROOT = new URL("../../", import.meta.url);

/** What is bundled besides the doors. */
const EXAMPLES = {
  "examples/worker": "./examples/worker/worker.ts",
  "examples/browser": "./examples/browser/page.ts",
};

/** Prints a line a bundle. */
export async function benchSizes(): Promise<void> {
  const { exports }: { exports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", ROOT)),
  );
  const { "./cli": _, ...doors } = exports; // no module: it reads files and opens sockets
  for (const [name, path] of Object.entries({ ...doors, ...EXAMPLES })) {
    const bytes = new TextEncoder().encode(await bundle(path));
    const gzipped = await gzip(bytes);
    console.log(`${name.padEnd(18)} ${kib(bytes)} minified, ${kib(gzipped)} gzipped`);
  }
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function kib(bytes: Uint8Array): string {
  return `${(bytes.length / 1024).toFixed(1).padStart(6)} KiB`;
}
