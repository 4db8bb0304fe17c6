/**
 * One timer per meter, in buckets of a second: an intrusive doubly linked list per bucket, so that
 * setting one costs a few array writes and no allocation.
 *
 * A timer put off stays in its old bucket and moves when that comes up (a reading puts off its
 * meter's timer every time, and would otherwise move it every time); one brought forward moves now.
 */
export class Timers {
  /** When meter i is due, epoch milliseconds. */
  #dueMs: Float64Array;
  #bucket: Float64Array;
  #next: Int32Array;
  #previous: Int32Array;
  readonly #heads = new Map<number, number>();
  /** A heap of the buckets, with some that are empty by now. */
  #keys: number[] = [];
  /** No bucket before this one holds a timer. */
  #earliest = Infinity;

  constructor(capacity: number) {
    this.#dueMs = new Float64Array(capacity);
    this.#bucket = new Float64Array(capacity).fill(NONE);
    this.#next = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
  }

  grow(capacity: number): void {
    const size = this.#dueMs.length;
    this.#dueMs = grown(this.#dueMs, capacity);
    this.#bucket = grown(this.#bucket, capacity).fill(NONE, size);
    this.#next = grown(this.#next, capacity);
    this.#previous = grown(this.#previous, capacity);
  }

  /** Sets meter i's timer; the one it had is replaced. */
  set(i: number, dueMs: number): void {
    this.#dueMs[i] = dueMs;
    const bucket = Math.floor(dueMs / 1000);
    const current = this.#bucket[i];
    if (current !== NONE) {
      if (current <= bucket) return;
      this.#unlink(i);
    }
    this.#link(i, bucket);
  }

  /** When meter i is due, as it was set last. */
  dueMs(i: number): number {
    return this.#dueMs[i];
  }

  clear(i: number): void {
    if (this.#bucket[i] !== NONE) this.#unlink(i);
  }

  /** Whether `take` would find anything: a bound, cheap enough for every record. */
  mayBeDue(clockMs: number): boolean {
    return this.#earliest * 1000 <= clockMs;
  }

  /** Takes out every timer due at or before `clockMs`, in no particular order. */
  take(clockMs: number, due: number[]): void {
    while (this.#earliest * 1000 <= clockMs) {
      const bucket = this.#earliest;
      let i = this.#heads.get(bucket) ?? NIL;
      let kept = false;
      while (i !== NIL) {
        const next = this.#next[i];
        const dueMs = this.#dueMs[i];
        if (dueMs <= clockMs) {
          this.#unlink(i);
          due.push(i);
        } else if (Math.floor(dueMs / 1000) !== bucket) {
          this.#unlink(i);
          this.#link(i, Math.floor(dueMs / 1000));
        } else {
          kept = true;
        }
        i = next;
      }
      if (kept) return;
      this.#earliest = this.#firstBucket();
    }
  }

  /** The earliest bucket that holds a timer; Infinity: none does. */
  #firstBucket(): number {
    while (this.#keys.length > 0 && !this.#heads.has(this.#keys[0])) popKey(this.#keys);
    return this.#keys[0] ?? Infinity;
  }

  #addBucket(bucket: number): void {
    // Buckets come and go: those that are gone must not outgrow those that are there.
    if (this.#keys.length >= 2 * this.#heads.size + GONE_BUCKETS_MAX) {
      this.#keys = [...this.#heads.keys()].sort((a, b) => a - b); // in order, it is a heap
    } else pushKey(this.#keys, bucket);
  }

  #link(i: number, bucket: number): void {
    const head = this.#heads.get(bucket) ?? NIL;
    this.#bucket[i] = bucket;
    this.#next[i] = head;
    this.#previous[i] = NIL;
    this.#heads.set(bucket, i);
    if (head === NIL) this.#addBucket(bucket);
    else this.#previous[head] = i;
    if (bucket < this.#earliest) this.#earliest = bucket;
  }

  #unlink(i: number): void {
    const next = this.#next[i];
    const previous = this.#previous[i];
    const bucket = this.#bucket[i];
    if (next !== NIL) this.#previous[next] = previous;
    if (previous !== NIL) this.#next[previous] = next;
    else if (next !== NIL) this.#heads.set(bucket, next);
    else this.#heads.delete(bucket);
    this.#bucket[i] = NONE;
  }
}

const NIL = -1;
const NONE = -Infinity;
const GONE_BUCKETS_MAX = 1024;

/** Adds a key to a binary heap, the smallest on top. */
function pushKey(heap: number[], key: number): void {
  let at = heap.push(key) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent] <= key) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = key;
}

/** Takes the smallest key out of a binary heap that is not empty. */
function popKey(heap: number[]): void {
  const key = heap.pop()!;
  const { length } = heap;
  if (length === 0) return;
  let at = 0;
  for (let child = 1; child < length; child = 2 * at + 1) {
    if (child + 1 < length && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= key) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = key;
}

/** The same typed array with room for `capacity` entries. */
export function grown<
  T extends Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array,
>(
  array: T,
  capacity: number,
): T {
  const larger = new (array.constructor as new (length: number) => T)(capacity);
  larger.set(array);
  return larger;
}
