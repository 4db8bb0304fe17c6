export type KeptSeed = {
  readonly seed: number;
  /** How long the harm lasts; what was found may have needed longer. */
  readonly seconds: number;
  readonly found: string;
};

/** Seeds of `deno task chaos` that failed once, and what they found. Run by every test run. */
export const CHAOS_SEEDS: readonly KeptSeed[] = [
  {
    seed: 3,
    seconds: 25,
    found: "commit() with its connection cut as it asks for a topic's limit rejects with the " +
      "library's own error, and the replay ends as by a fault of ours",
  },
  { seed: 5, seconds: 25, found: "the same" },
];
