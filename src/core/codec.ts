import { ByteReader, ByteWriter, CodecError } from "./bytes.ts";
import { DISPOSITIONS, emptyLedger } from "./ledger.ts";
import { METER_SECTION_VERSION, readMeter, writeMeter } from "./meter_section.ts";
import type { MeterTable } from "./meters.ts";
import type { Processor } from "./processor.ts";
import type { SlotFollower } from "./rules/slot_follower.ts";
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
 * many gaps the parts of a tick have said, version 5 how many findings.
 */
export const CODEC_VERSION = 2;

/** A part of the state that has a name, and a version of its own. */
type Section = { readonly name: string; readonly version: number };

const TASK: Section = { name: "task", version: 5 };
const SLOTS: Section = { name: "slots", version: 1 };
/** That of the numbers which a slot rule keeps. */
const NUMBERS_VERSION = 1;
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
  writer.u32(state.partFindings);
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
    partFindings: 0,
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
  if (version >= 5) state.partFindings = reader.u32();
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
  for (const i of changed) writeState(writer, processor, i, { isWhole: false });
  return writer.bytes();
}

/** Packs every meter, in payloads of about `partBytesMax`; one without meters when there are none. */
export function* encodeAll(processor: Processor, partBytesMax: number): Generator<Uint8Array> {
  const { meters } = processor;
  let writer = newPayload(processor, 4096);
  const emptyLength = writer.length;
  for (const i of meters.indexes()) {
    writeState(writer, processor, i, { isWhole: true });
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
  const followedFrom = slotsAt(sections);
  const reads = sections.slice(1).map((section, s) =>
    followedFrom >= 0 && s + 1 >= followedFrom
      ? followedReaderOf(section, meters)
      : readerOf(section, { meters, rules })
  );
  const isFollowed = meters.follower !== null && slotsAt(sections) >= 0;
  while (!reader.atEnd) {
    const id = reader.text();
    const end = reader.openPart();
    const known = meters.find(id);
    if (known >= 0) meters.remove(known);
    if (reader.isAt(end)) continue;
    const i = meters.add(id);
    if (known < 0) meters.follower?.begin(i); // else what is written adds to its days
    const ownEnd = isBare ? end : reader.openPart();
    readMeter(reader, meters, i, sections[0].version);
    reader.closePart(ownEnd, `the state of "${id}"`);
    for (const read of reads) read(reader, i);
    if (!isFollowed) meters.follower?.join(meters, i);
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
function newPayload({ rules, meters }: Processor, capacity: number): ByteWriter {
  const writer = new ByteWriter(capacity);
  const memories = rules.flatMap(({ name, memory }) =>
    memory === undefined ? [] : { name, version: memory.version }
  );
  const followed = meters.follower === null ? [] : [SLOTS, ...numbersOf(meters.follower)];
  writeSections(writer, [METER, ...memories, ...followed]);
  return writer;
}

function numbersOf({ rules }: SlotFollower): Section[] {
  return rules.flatMap(({ name, numbers }) =>
    numbers === 0 ? [] : { name, version: NUMBERS_VERSION }
  );
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

/** Reads a section of one meter. */
type SectionReader = (reader: ByteReader, i: number) => void;

/** Where the sections of the slot rules begin; -1: there are none. */
function slotsAt(sections: readonly Section[]): number {
  return sections.findIndex(({ name }) => name === SLOTS.name);
}

/**
 * What reads the slots that are followed, or what a rule keeps of them. That of a rule which is off by
 * now is passed over: should it be turned on, it begins anew.
 */
function followedReaderOf(section: Section, meters: MeterTable): SectionReader {
  const { name } = section;
  const { follower } = meters;
  if (name === SLOTS.name) {
    checkVersion(section, SLOTS.version);
    const read: SectionReader | null = follower === null
      ? null
      : (reader, i) => follower.read(reader, i, meters.intervalMs[i]);
    return partReader(name, meters, read);
  }
  const rule = follower?.rules.find((one) => one.name === name);
  if (follower === null || rule === undefined) {
    return partReader(name, meters, null);
  }
  checkVersion(section, NUMBERS_VERSION);
  return partReader(name, meters, (reader, i) => follower.readNumbers(reader, i, rule));
}

/** What reads the memory of a rule that judges readings. */
function readerOf(
  section: Section,
  { meters, rules }: Pick<Processor, "meters" | "rules">,
): SectionReader {
  const { name, version } = section;
  const r = rules.findIndex((rule) => rule.name === name);
  const memory = rules[r]?.memory;
  if (memory === undefined) throw unknownSection(section);
  checkVersion(section, memory.version);
  return partReader(name, meters, (reader, i) => {
    meters.remember(i, r, memory.read(reader, version));
  });
}

/** Reads a part of a meter's state; null: passes it over. */
function partReader(name: string, meters: MeterTable, read: SectionReader | null): SectionReader {
  return (reader, i) => {
    const end = reader.openPart();
    if (reader.isAt(end)) return; // nothing yet
    if (read === null) return reader.skipTo(end);
    read(reader, i);
    reader.closePart(end, `what ${name} remembers of "${meters.idOf(i)}"`);
  };
}

/** A meter as a record of a payload: its id, and its sections; whole, or what is new of its days. */
function writeState(
  writer: ByteWriter,
  { meters, rules }: Processor,
  i: number,
  { isWhole }: { readonly isWhole: boolean },
): void {
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
  if (meters.follower !== null) writeFollowed(writer, meters.follower, i, { isWhole });
  writer.closePart(state);
}

/** How far the slots of a meter are followed, and what each rule keeps of it. */
function writeFollowed(
  writer: ByteWriter,
  follower: SlotFollower,
  i: number,
  { isWhole }: { readonly isWhole: boolean },
): void {
  const part = writer.openPart();
  follower.write(writer, i, { isWhole });
  writer.closePart(part);
  for (const rule of follower.rules) {
    if (rule.numbers === 0) continue;
    const numbers = writer.openPart();
    follower.writeNumbers(writer, i, rule);
    writer.closePart(numbers);
  }
}
