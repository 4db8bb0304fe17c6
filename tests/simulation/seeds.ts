/** Seeds that failed once, and what they found; `steps` null: the budget drawn from the seed. */
export type KeptSeed = {
  readonly seed: number;
  readonly steps: number | null;
  readonly found: string;
};

/** Run by every test run, for ever. */
export const KEPT_SEEDS: readonly KeptSeed[] = [
  { seed: 4, steps: null, found: "a meter whose id begins with U+FEFF was restored as another" },
  { seed: 329, steps: null, found: "a rejected tick carried the value of the reading before it" },
];

/** Seeds that never failed, but run every time. */
export const FRESH_SEEDS: readonly number[] = Array.from({ length: 50 }, (_, i) => 4000 + i);
