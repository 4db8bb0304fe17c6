/** Long work stops after so many blocks, for the rest of the process: some 20 ms. */
export const BLOCKS_PER_TURN = 64;

/** Lets timers and I/O of the process run: awaiting a settled promise would not. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
