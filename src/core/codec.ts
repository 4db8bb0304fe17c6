import type { Hole } from "./meters.ts";
import type { Processor } from "./processor.ts";
import type { TaskAccount, TaskState } from "./task_state.ts";
import { DISPOSITIONS, emptyLedger } from "./ledger.ts";

/**
 * The changelog's bytes. Little endian; every payload starts with the version it was written in, and
 * every version that ever wrote one stays readable: add a version, never change one. Version 2 says
 * the watermark at the end of the task.
 *
 * A payload is a run of records: id length u16, id in UTF-8, state length u32 (0: the meter is
 * gone), state.
 */
export const CODEC_VERSION = 2;
/** The first that says the watermark. */
const WATERMARK_VERSION = 2;

/** The longest interval that fits its column. */
const INTERVAL_MS_MAX = 2 ** 31 - 1;

/** Bytes that this build cannot read: a newer version wrote them, or they are damaged. */
export class CodecError extends Error {
  override name = "CodecError";
}

/** Packs the partition's own state, with the watermark that its processor stands at. */
export function encodeTask(
  { state, watermarkMs }: Pick<Processor, "state" | "watermarkMs">,
): Uint8Array {
  const writer = new ByteWriter(160);
  writer.u8(CODEC_VERSION);
  writer.f64(state.nextOffset);
  writer.f64(state.nextSerial);
  writer.f64(state.readingMaxMs);
  writer.f64(state.tickMaxMs);
  writer.f64(state.tickSerial);
  writer.f64(state.clockMs);
  writer.u8(state.replaying ? 1 : 0);
  writer.f64(state.ledger.raw);
  for (const disposition of DISPOSITIONS) writer.f64(state.ledger[disposition]);
  writer.f64(watermarkMs ?? -Infinity);
  return writer.bytes();
}

/** Reads what `encodeTask` of this or an older version wrote. Throws `CodecError`. */
export function decodeTask(bytes: Uint8Array): TaskState {
  return readTask(bytes).state;
}

/** Reads of the same bytes what others are told of a task. Throws `CodecError`. */
export function decodeAccount(bytes: Uint8Array): TaskAccount {
  const { state: { nextOffset, ledger }, watermarkMs } = readTask(bytes);
  return { nextOffset, watermarkMs, ledger };
}

function readTask(bytes: Uint8Array): { state: TaskState; watermarkMs: number | null } {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  checkVersion(version);
  const state: TaskState = {
    nextOffset: reader.f64(),
    nextSerial: reader.f64(),
    readingMaxMs: reader.f64(),
    tickMaxMs: reader.f64(),
    tickSerial: reader.f64(),
    clockMs: reader.f64(),
    replaying: reader.u8() === 1,
    ledger: emptyLedger(),
  };
  state.ledger.raw = reader.f64();
  for (const disposition of DISPOSITIONS) state.ledger[disposition] = reader.f64();
  const watermarkMs = version < WATERMARK_VERSION ? -Infinity : reader.f64();
  return { state, watermarkMs: watermarkMs === -Infinity ? null : watermarkMs };
}

/** Packs the meters changed, and those gone, since the last call; no bytes when there are none. */
export function encodeChanges(processor: Processor): Uint8Array {
  const { changed, removed } = processor.meters.takeChanges();
  if (changed.length === 0 && removed.length === 0) return new Uint8Array(0);
  const writer = new ByteWriter(changed.length * 128 + 64);
  writer.u8(CODEC_VERSION);
  for (const id of removed) {
    writer.text(id);
    writer.u32(0);
  }
  for (const i of changed) writeMeter(writer, processor, i);
  return writer.bytes();
}

/** Packs every meter, in payloads of about `partBytesMax`; one without meters when there are none. */
export function* encodeAll(processor: Processor, partBytesMax: number): Generator<Uint8Array> {
  let writer = new ByteWriter(4096);
  writer.u8(CODEC_VERSION);
  for (const i of processor.meters.indexes()) {
    writeMeter(writer, processor, i);
    if (writer.length < partBytesMax) continue;
    yield writer.bytes();
    writer = new ByteWriter(partBytesMax + 4096);
    writer.u8(CODEC_VERSION);
  }
  if (writer.length > 1 || processor.meters.count === 0) yield writer.bytes();
}

/** Applies a payload to a processor that is being restored. Throws `CodecError`. */
export function applyChanges(payload: Uint8Array, processor: Processor): void {
  if (payload.length === 0) return;
  const { meters } = processor;
  const reader = new ByteReader(payload);
  checkVersion(reader.u8());
  while (!reader.atEnd) {
    const id = reader.text();
    const length = reader.u32();
    const known = meters.find(id);
    if (known >= 0) meters.remove(known);
    if (length === 0) continue;
    const end = reader.position + length;
    readMeter(reader, processor, id);
    if (reader.position !== end) throw new CodecError(`state of "${id}" has another length`);
  }
}

/** Ends a restore: sets every timer, and forgets what the restore itself has changed. */
export function finishRestore(processor: Processor): void {
  const { meters, state } = processor;
  meters.takeChanges();
  meters.nextSerial = state.nextSerial;
  for (const i of meters.indexes()) processor.resume(i);
}

function checkVersion(version: number): void {
  if (version < 1 || version > CODEC_VERSION) {
    throw new CodecError(`state of version ${version} cannot be read by version ${CODEC_VERSION}`);
  }
}

function writeMeter(writer: ByteWriter, { meters }: Processor, i: number): void {
  writer.text(meters.idOf(i));
  const lengthAt = writer.length;
  writer.u32(0);
  writer.f64(meters.serial[i]);
  writer.f64(meters.lastMs[i]);
  writer.f64(meters.maxMs[i]);
  const intervalMs = meters.intervalMs[i];
  writer.u32(intervalMs);
  if (intervalMs === 0) {
    const { timesMs, values } = meters.learning.get(i) ?? { timesMs: [], values: [] };
    writer.u32(timesMs.length);
    for (let r = 0; r < timesMs.length; r++) {
      writer.f64(timesMs[r]);
      writer.f64(values[r]);
    }
  } else {
    writer.i32(meters.ordinal[i]);
    writer.i32(meters.firstOrdinal[i]);
    writer.u32(meters.openSent[i]);
    writer.f64(meters.openIdMs[i]);
    const ringLength = meters.ringLength(i);
    writer.u32(ringLength);
    for (let back = ringLength - 1; back >= 0; back--) {
      writer.f64(meters.valueAt(i, meters.ordinal[i] - back));
    }
    const holes = meters.holes.get(i) ?? [];
    writer.u32(holes.length);
    for (const hole of holes) writeHole(writer, hole);
    const marks = meters.marks.get(i) ?? [];
    writer.u32(marks.length);
    for (const ordinal of marks) writer.i32(ordinal);
  }
  writer.u32At(lengthAt, writer.length - lengthAt - 4);
}

function readMeter(reader: ByteReader, { meters }: Processor, id: string): void {
  const i = meters.add(id);
  meters.serial[i] = reader.f64();
  meters.lastMs[i] = reader.f64();
  meters.maxMs[i] = reader.f64();
  const intervalMs = reader.u32();
  if (intervalMs === 0) {
    const timesMs: number[] = [];
    const values: number[] = [];
    for (let count = reader.u32(); count > 0; count--) {
      timesMs.push(reader.f64());
      values.push(reader.f64());
    }
    meters.learning.set(i, { timesMs, values });
    return;
  }
  if (intervalMs > INTERVAL_MS_MAX) throw new CodecError(`an interval of ${intervalMs} ms`);
  meters.setInterval(i, intervalMs);
  meters.ordinal[i] = reader.i32();
  meters.firstOrdinal[i] = reader.i32();
  meters.openSent[i] = reader.u32();
  meters.openIdMs[i] = reader.f64();
  for (let back = reader.u32() - 1; back >= 0; back--) {
    meters.setValueAt(i, meters.ordinal[i] - back, reader.f64());
  }
  const holes: Hole[] = [];
  for (let count = reader.u32(); count > 0; count--) holes.push(readHole(reader));
  if (holes.length > 0) meters.holes.set(i, holes);
  const marks: number[] = [];
  for (let count = reader.u32(); count > 0; count--) marks.push(reader.i32());
  if (marks.length > 0) meters.marks.set(i, marks);
}

const SENT_STATES = ["", "OPEN", "CLOSED"] as const;

function writeHole(writer: ByteWriter, hole: Hole): void {
  writer.i32(hole.from);
  writer.f64(hole.fromMs);
  writer.u32(hole.count);
  writer.u32(hole.judged);
  writer.f64(hole.idMs);
  writer.u8(SENT_STATES.indexOf(hole.sentState));
  writer.f64(hole.sentFromMs);
  writer.u32(hole.sentCount);
  writer.u32(hole.sentRejected);
}

function readHole(reader: ByteReader): Hole {
  return {
    from: reader.i32(),
    fromMs: reader.f64(),
    count: reader.u32(),
    judged: reader.u32(),
    idMs: reader.f64(),
    sentState: SENT_STATES[reader.u8()] ?? "",
    sentFromMs: reader.f64(),
    sentCount: reader.u32(),
    sentRejected: reader.u32(),
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

class ByteWriter {
  length = 0;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#view.setUint8(this.length, value);
    this.length += 1;
  }

  i32(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.length, value, true);
    this.length += 4;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.length, value, true);
    this.length += 4;
  }

  u32At(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** A text of at most 65,535 bytes, with its length. */
  text(text: string): void {
    this.#reserve(2 + text.length * 3);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(this.length + 2));
    this.#view.setUint16(this.length, written, true);
    this.length += 2 + written;
  }

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + bytes));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get position(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  text(): string {
    const length = this.#view.getUint16(this.#take(2), true);
    const at = this.#take(length);
    return decoder.decode(this.#bytes.subarray(at, at + length));
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) {
      throw new CodecError(`state ends at byte ${this.#bytes.length}, in the middle of a field`);
    }
    this.#at = at + bytes;
    return at;
  }
}
