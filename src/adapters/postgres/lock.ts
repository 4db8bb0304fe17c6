import type { PostgresDatabase } from "./database.ts";

/** Gives a lock back. */
export type Release = () => Promise<void>;

/**
 * Holds an advisory lock by a transaction that stays open, on a connection of the database that
 * nothing else has meanwhile. A lock of the session would stay behind on a connection that a pooler
 * gives to others. Where the connection is lost, so is the lock.
 *
 * @param key A 64-bit number, in decimal
 */
export async function holdLock(
  database: PostgresDatabase,
  key: string,
  { waitMsMax }: { /** 0: as long as it takes. */ readonly waitMsMax: number },
): Promise<Release> {
  const held = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const holding = database.transaction(async (tx) => {
    await tx.query(`SET LOCAL lock_timeout = ${waitMsMax}`);
    await tx.query("SET LOCAL statement_timeout = 0");
    await tx.query("SET LOCAL idle_in_transaction_session_timeout = 0");
    await tx.query(`SELECT pg_advisory_xact_lock(${key})`);
    held.resolve();
    await released.promise;
  });
  await Promise.race([held.promise, holding]);
  const ended = holding.catch(() => {}); // a lost connection has released it
  return async () => {
    released.resolve();
    await ended;
  };
}
