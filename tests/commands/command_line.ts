import { main } from "../../cli.ts";

/** What a command line came to. */
export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs a command line in this process, and keeps what it writes. */
export async function gridwatch(...args: string[]): Promise<Ended> {
  const stdout = keep(Deno.stdout);
  const stderr = keep(Deno.stderr);
  try {
    const code = await main(args);
    return { code, stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    stdout.release();
    stderr.release();
  }
}

/** Keeps what is written to an output of this process, instead of writing it, until released. */
export function keep(output: typeof Deno.stdout) {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const writeSync = (bytes: Uint8Array) => {
    chunks.push(bytes.slice());
    return bytes.length;
  };
  // Own properties, over the methods of the class: to be deleted again.
  Object.assign(output, {
    writeSync,
    write: (bytes: Uint8Array) => Promise.resolve(writeSync(bytes)),
  });
  return {
    text: () => new TextDecoder().decode(join(chunks)),
    release: () => {
      Reflect.deleteProperty(output, "writeSync");
      Reflect.deleteProperty(output, "write");
    },
  };
}

function join(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Runs work in a folder of its own, which is removed. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch_" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
