import { ByteReader, ByteWriter, CodecError } from "./bytes.ts";
import { DISPOSITIONS, emptyLedger } from "./ledger.ts";
import { METER_SECTION_VERSION, readMeter, writeMeter } from "./meter_section.ts";
import type { MeterTable } from "./meters.ts";
import type { Processor } from "./processor.ts";
import type { Rule } from "./rules/rule.ts";
import type { TaskAccount, TaskState } from "./task_state.ts";

/**
 * The changelog's bytes. Little endian; every payload starts with the version it was written in, and
 * every version that ever wrote one stays readable: add a version, never change one.
 *
 * A payload of version 2 first names its sections, each with a version of its own:
 *
 *     version u8, sections u8, for each: name (text), version u8
 *
 * That of a task goes on with each section's length u32 and bytes. That of meters is a run of
 * records: id (text), state length u32 (0: the meter is gone), and in it each section's length and
 * bytes. The first section is the meter's own, every other the memory of the rule it is named for.
 * A text is its length u16 and UTF-8.
 *
 * Version 1 had no sections: the task's, or the meter's own, bytes stood there alone. Version 2 of
 * the section `task` added the watermark at its end, version 3 the ticks of replays, version 4 how
 * many gaps the parts of a tick have said.
 */
export const CODEC_VERSION = 2;

/** A part of the state that has a name, and a version of its own. */
type Section = { readonly name: string; readonly version: number };

const TASK: Section = { name: "task", version: 4 };
const METER: Section = { name: "meter", version: METER_SECTION_VERSION };

/** Packs the partition's own state, with the watermark that its processor stands at. */
export function encodeTask(
  { state, watermarkMs }: Pick<Processor, "state" | "watermarkMs">,
): Uint8Array {
  const writer = new ByteWriter(160);
  writeSections(writer, [TASK]);
  const part = writer.openPart();
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
  writer.u8(state.replayTicks.size);
  for (const [startMs, tickMs] of state.replayTicks) {
    writer.f64(startMs);
    writer.f64(tickMs);
  }
  writer.u32(state.partGaps);
  writer.closePart(part);
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
  const { sections, isBare } = readSections(reader, TASK);
  if (sections.length > 1) throw unknownSection(sections[1]);
  const end = isBare ? bytes.length : reader.openPart();
  const state: TaskState = {
    nextOffset: reader.f64(),
    nextSerial: reader.f64(),
    readingMaxMs: reader.f64(),
    tickMaxMs: reader.f64(),
    tickSerial: reader.f64(),
    clockMs: reader.f64(),
    replaying: reader.u8() === 1,
    replayTicks: new Map(),
    partGaps: 0,
    ledger: emptyLedger(),
  };
  state.ledger.raw = reader.f64();
  for (const disposition of DISPOSITIONS) state.ledger[disposition] = reader.f64();
  const [{ version }] = sections;
  const watermarkMs = version === 1 ? -Infinity : reader.f64();
  for (let replays = version < 3 ? 0 : reader.u8(); replays > 0; replays--) {
    state.replayTicks.set(reader.f64(), reader.f64());
  }
  if (version >= 4) state.partGaps = reader.u32();
  reader.closePart(end, "the state of the task");
  return { state, watermarkMs: watermarkMs === -Infinity ? null : watermarkMs };
}

/** Packs the meters changed, and those gone, since the last call; no bytes when there are none. */
export function encodeChanges(processor: Processor): Uint8Array {
  const { changed, removed } = processor.meters.takeChanges();
  if (changed.length === 0 && removed.length === 0) return new Uint8Array(0);
  const writer = newPayload(processor, changed.length * 128 + 64);
  for (const id of removed) {
    writer.text(id);
    writer.u32(0);
  }
  for (const i of changed) writeState(writer, processor, i);
  return writer.bytes();
}

/** Packs every meter, in payloads of about `partBytesMax`; one without meters when there are none. */
export function* encodeAll(processor: Processor, partBytesMax: number): Generator<Uint8Array> {
  const { meters } = processor;
  let writer = newPayload(processor, 4096);
  const emptyLength = writer.length;
  for (const i of meters.indexes()) {
    writeState(writer, processor, i);
    if (writer.length < partBytesMax) continue;
    yield writer.bytes();
    writer = newPayload(processor, partBytesMax + 4096);
  }
  if (writer.length > emptyLength || meters.count === 0) yield writer.bytes();
}

/** Applies a payload to a processor that is being restored. Throws `CodecError`. */
export function applyChanges(payload: Uint8Array, { meters, rules }: Processor): void {
  if (payload.length === 0) return;
  const reader = new ByteReader(payload);
  const { sections, isBare } = readSections(reader, METER);
  const memories = sections.slice(1).map((section) => memoryOf(section, rules));
  while (!reader.atEnd) {
    const id = reader.text();
    const end = reader.openPart();
    const known = meters.find(id);
    if (known >= 0) meters.remove(known);
    if (reader.isAt(end)) continue;
    const i = meters.add(id);
    const ownEnd = isBare ? end : reader.openPart();
    readMeter(reader, meters, i, sections[0].version);
    reader.closePart(ownEnd, `the state of "${id}"`);
    for (const memory of memories) readMemory(reader, meters, i, memory);
    reader.closePart(end, `the state of "${id}"`);
  }
}

/** Ends a restore: sets every timer, and forgets what the restore itself has changed. */
export function finishRestore(processor: Processor): void {
  const { meters, state } = processor;
  meters.takeChanges();
  meters.nextSerial = state.nextSerial;
  for (const i of meters.indexes()) processor.resume(i);
}

/** A payload that names its sections: the meter's own, and those of the rules that remember. */
function newPayload({ rules }: Processor, capacity: number): ByteWriter {
  const writer = new ByteWriter(capacity);
  const memories = rules.flatMap(({ name, memory }) =>
    memory === undefined ? [] : { name, version: memory.version }
  );
  writeSections(writer, [METER, ...memories]);
  return writer;
}

function writeSections(writer: ByteWriter, sections: readonly Section[]): void {
  writer.u8(CODEC_VERSION);
  writer.u8(sections.length);
  for (const { name, version } of sections) {
    writer.text(name);
    writer.u8(version);
  }
}

/** What a payload says of itself, whose first section must be `own`; bare: without their lengths. */
function readSections(
  reader: ByteReader,
  own: Section,
): { readonly sections: readonly Section[]; readonly isBare: boolean } {
  const version = reader.u8();
  if (version === 1) return { sections: [{ ...own, version: 1 }], isBare: true };
  if (version !== CODEC_VERSION) {
    throw new CodecError(`state of version ${version} cannot be read by version ${CODEC_VERSION}`);
  }
  const sections: Section[] = [];
  for (let count = reader.u8(); count > 0; count--) {
    sections.push({ name: reader.text(), version: reader.u8() });
  }
  const [first] = sections;
  if (first?.name !== own.name) throw new CodecError(`the state does not begin with "${own.name}"`);
  checkVersion(first, own.version);
  return { sections, isBare: false };
}

function checkVersion({ name, version }: Section, versionMax: number): void {
  if (version >= 1 && version <= versionMax) return;
  throw new CodecError(
    `section "${name}" of the state has version ${version}, and is read here up to ${versionMax}`,
  );
}

function unknownSection({ name, version }: Section): CodecError {
  return new CodecError(
    `the state has a section "${name}" of version ${version}, which nothing here reads: ` +
      "a newer version wrote it, or its rule is off",
  );
}

/** The memory that a section holds, and the place of its rule among the rules. */
function memoryOf(section: Section, rules: readonly Rule[]) {
  const r = rules.findIndex(({ name }) => name === section.name);
  const memory = rules[r]?.memory;
  if (memory === undefined) throw unknownSection(section);
  checkVersion(section, memory.version);
  return { r, memory, section };
}

/** A meter as a record of a payload: its id, and its sections. */
function writeState(writer: ByteWriter, { meters, rules }: Processor, i: number): void {
  writer.text(meters.idOf(i));
  const state = writer.openPart();
  const own = writer.openPart();
  writeMeter(writer, meters, i);
  writer.closePart(own);
  for (let r = 0; r < rules.length; r++) {
    const { memory } = rules[r];
    if (memory === undefined) continue;
    const part = writer.openPart();
    const remembered = meters.memories.get(i)?.[r];
    if (remembered !== undefined) memory.write(writer, remembered);
    writer.closePart(part);
  }
  writer.closePart(state);
}

/** Reads what a rule remembers of a meter; no bytes: nothing yet. */
function readMemory(
  reader: ByteReader,
  meters: MeterTable,
  i: number,
  { r, memory, section }: ReturnType<typeof memoryOf>,
): void {
  const end = reader.openPart();
  if (reader.isAt(end)) return;
  meters.remember(i, r, memory.read(reader, section.version));
  reader.closePart(end, `what ${section.name} remembers of "${meters.idOf(i)}"`);
}
