/** A record on its way. */
export type DelayedRecord = {
  readonly arrivalMs: number;
  readonly bytes: Uint8Array;
  readonly partition: number;
  readonly series: number;
  readonly eventMs: number;
  readonly flags: number;
  readonly isDuplicate: boolean;
  /** Order of departure, which decides between equal arrivals. */
  readonly serial: number;
};

/** Records held back, the first to arrive on top of a binary heap. */
export type DelayQueue = { readonly heap: DelayedRecord[]; bytes: number };

/** More than this is not held: a row that finds no room arrives in time. */
const RECORDS_MAX = 1 << 18;
const BYTES_MAX = 1 << 26;

/** A queue that holds nothing. */
export function newDelayQueue(): DelayQueue {
  return { heap: [], bytes: 0 };
}

/** Whether a record of so many bytes may still be held. */
export function hasRoom(queue: DelayQueue, bytes: number): boolean {
  return queue.heap.length < RECORDS_MAX && queue.bytes + bytes <= BYTES_MAX;
}

/** When the first arrives; Infinity: none is held. */
export function nextDelayedMs(queue: DelayQueue): number {
  return queue.heap.length === 0 ? Infinity : queue.heap[0].arrivalMs;
}

/** Holds a record back. */
export function holdRecord(queue: DelayQueue, record: DelayedRecord): void {
  const { heap } = queue;
  queue.bytes += record.bytes.length;
  let at = heap.length;
  heap.push(record);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(record, heap[parent])) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = record;
}

/** Takes the first to arrive out of a queue that holds some. */
export function takeDelayed(queue: DelayQueue): DelayedRecord {
  const { heap } = queue;
  const first = heap[0];
  const last = heap.pop()!;
  queue.bytes -= first.bytes.length;
  if (heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
    if (!isBefore(heap[child], last)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = last;
  return first;
}

function isBefore(a: DelayedRecord, b: DelayedRecord): boolean {
  return a.arrivalMs !== b.arrivalMs ? a.arrivalMs < b.arrivalMs : a.serial < b.serial;
}
