/** Long work stops after so many blocks, for the rest of the process: some 20 ms. */
export const BLOCKS_PER_TURN = 64;

/**
 * Lets timers and I/O of the process run: awaiting a settled promise would not.
 *
 * @throws the signal's reason, once it is aborted.
 */
export async function nextTurn(signal?: AbortSignal): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  signal?.throwIfAborted();
}
