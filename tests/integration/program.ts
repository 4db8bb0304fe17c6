const decoder = new TextDecoder();

/** What a program wrote, and whether it ended well. */
export type Said = { readonly success: boolean; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end; one that is not there fails. */
export async function run(
  program: string,
  args: readonly string[],
  { stdin = "", env = {} }: {
    readonly stdin?: string;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<Said> {
  try {
    const options = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    const process = new Deno.Command(program, { args: [...args], env, ...options }).spawn();
    const [{ success, stdout, stderr }] = await Promise.all([
      process.output(),
      new Blob([stdin]).stream().pipeTo(process.stdin),
    ]);
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { success: false, stdout: "", stderr: error.message };
  }
}
