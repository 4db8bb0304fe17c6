/**
 * Answers kept for a while, so that a hundred pages cost the store no more than one, and scans of
 * tens of millions of rows take little of its time from the pipeline.
 */

const COST_PAUSE_MAX_MS = 120_000;
const UNCHANGED_MS = 10_000;
const ENTRIES_MAX = 256;

/** How often an answer may be asked of the store anew while its tables change. */
export type Freshness = {
  readonly freshMs: number;
  /** After taking `costMs` an answer rests for `costMs * costFactor`: 9 is a tenth of the time. */
  readonly costFactor: number;
};

/** A few rows by key: live, unless the store is hard pressed. */
export const CHEAP: Freshness = { freshMs: 1000, costFactor: 2 };
/** A small table, read through. */
export const LIST: Freshness = { freshMs: 1000, costFactor: 5 };
/** The large table, read through, for what a person looks at. */
export const SCAN: Freshness = { freshMs: 3000, costFactor: 15 };
/** The same for what is only looked at now and then. */
export const RARE_SCAN: Freshness = { freshMs: 3000, costFactor: 30 };

/** What tells whether the tables can have changed. */
export type Activity = {
  /** Another text after every commit. */
  readonly stamp: string;
  /** True while commits are being made, which a scan would slow down. */
  readonly busy: boolean;
};

type Entry = {
  value: unknown;
  loaded: boolean;
  stamp: string;
  loadedAtMs: number;
  costMs: number;
  /** The last load failed, and when; null: it did not. */
  failure: { readonly error: unknown; readonly atMs: number } | null;
  pending: Promise<unknown> | null;
};

/** Answers by key. */
export type AnswerCache = {
  /**
   * The answer, from the store when the kept one is too old. Rejects as `load` does; one that took
   * long to fail rests as one that took long to come, and rejects meanwhile as it last did.
   */
  get<T>(key: string, freshness: Freshness, load: () => Promise<T>): Promise<T>;
  /** The kept answer however old, or null; a new one is fetched behind it. Never rejects. */
  peek<T>(key: string, freshness: Freshness, load: () => Promise<T>): T | null;
};

/** The entry of a key, now the last used; above the limit the one used longest ago goes. */
function entryOf(entries: Map<string, Entry>, key: string): Entry {
  const known = entries.get(key);
  const entry = known ??
    {
      ...{ value: null, loaded: false, stamp: "", loadedAtMs: 0 },
      ...{ costMs: 0, failure: null, pending: null },
    };
  entries.delete(key);
  entries.set(key, entry);
  for (const oldest of entries.keys()) {
    if (entries.size <= ENTRIES_MAX) break;
    entries.delete(oldest);
  }
  return entry;
}

/** An empty cache. When nothing is committed any more, no answer is older than the last commit. */
export function createAnswerCache(
  options: { readonly nowMs: () => number; readonly activity: () => Activity },
): AnswerCache {
  const { nowMs, activity } = options;
  const entries = new Map<string, Entry>();

  function isFresh(entry: Entry, { freshMs, costFactor }: Freshness): boolean {
    if (!entry.loaded) return false;
    const { stamp, busy } = activity();
    const ageMs = nowMs() - entry.loadedAtMs;
    const pauseMs = Math.min(COST_PAUSE_MAX_MS, entry.costMs * costFactor);
    if (entry.stamp === stamp) return ageMs < Math.max(UNCHANGED_MS, pauseMs);
    return busy && ageMs < Math.max(freshMs, pauseMs);
  }

  function isResting({ failure, costMs }: Entry, { costFactor }: Freshness): boolean {
    const pauseMs = Math.min(COST_PAUSE_MAX_MS, costMs * costFactor);
    return failure !== null && nowMs() - failure.atMs < pauseMs;
  }

  async function reload(entry: Entry, load: () => Promise<unknown>): Promise<unknown> {
    const { stamp } = activity();
    const startedAtMs = nowMs();
    try {
      entry.value = await load();
      entry.loaded = true;
      entry.stamp = stamp;
      entry.loadedAtMs = nowMs();
      entry.failure = null;
      return entry.value;
    } catch (error) {
      entry.failure = { error, atMs: nowMs() };
      throw error;
    } finally {
      entry.costMs = nowMs() - startedAtMs;
      entry.pending = null;
    }
  }

  return {
    async get<T>(key: string, freshness: Freshness, load: () => Promise<T>): Promise<T> {
      const entry = entryOf(entries, key);
      // A load under way may have begun before the last commit: it is waited for, then judged.
      if (entry.pending !== null) await entry.pending;
      if (isFresh(entry, freshness)) return entry.value as T;
      if (isResting(entry, freshness)) throw entry.failure?.error;
      entry.pending ??= reload(entry, load);
      return await entry.pending as T;
    },
    peek<T>(key: string, freshness: Freshness, load: () => Promise<T>): T | null {
      const entry = entryOf(entries, key);
      const isDue = !isFresh(entry, freshness) && !isResting(entry, freshness);
      if (entry.pending === null && isDue) {
        entry.pending = reload(entry, load);
        // Whoever awaits `get` hears of it; a page keeps what it has.
        entry.pending.catch(() => {});
      }
      return entry.loaded ? entry.value as T : null;
    },
  };
}
