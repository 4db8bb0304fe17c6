/** Seeds of `deno task chaos` that failed once, and what they found. Run by every test run. */
export const CHAOS_SEEDS: readonly {
  readonly seed: number;
  readonly seconds: number;
  readonly found: string;
}[] = [];
