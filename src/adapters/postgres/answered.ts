import { FencedError } from "../../engine/ports.ts";
import { StoreAwayError } from "../../engine/sink/ports.ts";
import type { PostgresDatabase, Transaction } from "./database.ts";
import { awayOf, isConflict } from "./errors.ts";

/** A database, and how long it may take to answer. */
export type Answering = { readonly database: PostgresDatabase; readonly answerMsMax: number };

/**
 * TimescaleDB ends a statement that unpacks more than a number of compressed rows; a commit of the
 * same rows would meet that limit again, however often it is sent. Elsewhere nothing reads this.
 */
const UNPACK_ALL = "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0";

/** A commit that lost a deadlock (a new chunk is a lock on its table) is sent again so often. */
const TRIES_MAX = 5;

/**
 * Runs work on a database, which is to answer in time.
 *
 * @throws {StoreAwayError} when it does not, or is away, or busy, or refuses what it is given
 */
export async function answered<T>(
  { database, answerMsMax }: Answering,
  work: (database: PostgresDatabase) => Promise<T>,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new StoreAwayError("The database does not answer"));
    database.reset().catch(() => {});
  }, answerMsMax);
  try {
    return await Promise.race([work(database), late]);
  } catch (error) {
    if (error instanceof FencedError || error instanceof StoreAwayError) throw error;
    throw awayOf(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Writes rows in one transaction, again where the server rolled it back for the sake of others. */
export async function transacted<T>(
  to: Answering,
  write: (tx: Transaction) => Promise<T>,
): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await answered(to, (database) =>
        database.transaction(async (tx) => {
          await tx.query(UNPACK_ALL);
          return await write(tx);
        }));
    } catch (error) {
      const isAgain = error instanceof StoreAwayError && isConflict(error.cause);
      if (!isAgain || tries === TRIES_MAX) throw error;
    }
  }
}
