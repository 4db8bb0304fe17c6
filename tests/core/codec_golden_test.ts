/**
 * Bytes that each version wrote, frozen: they must be read for ever. When a new version comes, these
 * tests stay as they are and new ones join them; never make one fit by changing its bytes.
 */
import assert from "node:assert/strict";
import {
  applyChanges,
  decodeAccount,
  decodeTask,
  encodeAll,
  encodeTask,
  finishRestore,
} from "../../src/core/codec.ts";
import { heldReadings } from "../../src/core/held.ts";
import type { Hole } from "../../src/core/hole.ts";
import { Processor } from "../../src/core/processor.ts";
import { DEFAULTS, HOUR_MS, MINUTE_MS, ms, startHarness } from "./harness.ts";

function bytesOf(...hex: string[]): Uint8Array {
  return Uint8Array.from(hex.join("").match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

function hexOf(bytes: Uint8Array): string[] {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));
}

const NAN = "000000000000f87f";
const ZERO = "0000000000000000";

/** The task after 13 records: 6 ok, 1 late, 1 too late, 1 duplicate, 3 rejected, 1 tick. */
const TASK_V1 = bytesOf(
  "01",
  "0000000000002a40", // next offset
  "0000000000001040", // next serial
  "0000507447cc7842", // latest reading, 10:00
  "00000a5048cc7842", // latest tick, 10:15
  "0000000000001040", // next serial at that tick
  "00000a5048cc7842", // clock
  "01", // replaying
  "0000000000002a40", // raw
  "0000000000001840", // ok
  "000000000000f03f", // late
  "000000000000f03f", // too late
  "000000000000f03f", // duplicate
  "0000000000000840", // rejected
  "000000000000f03f", // tick
);

/** A task before its first record: everything zero but three times that are not known. */
const EMPTY_TASK_V1 = bytesOf(
  "01",
  ...[ZERO, ZERO, "000000000000f0ff", "000000000000f0ff", ZERO, "000000000000f0ff", "00"],
  ...new Array(7).fill(ZERO),
);

/** Version 2 has sections. That of the task ends with the watermark, here 20 minutes behind the tick. */
const TASK_V2 = bytesOf(
  ...["02", "01", "04007461736b", "02", "71000000"],
  ...hexOf(TASK_V1).slice(1),
  "0000122b47cc7842", // watermark, 9:55
);

const GONE = "0400474f4e45";
const GONE_V1 = [
  GONE,
  "64000000", // bytes of state
  ZERO, // serial
  "0000040ceffc7842", // last
  "0000040ceffc7842", // max
  "40771b00", // interval, 30 min
  "00000000", // ordinal
  "00000000", // first ordinal
  "00000000", // open gap, as announced
  NAN, // its id
  "05000000", // ring
  ...[NAN, NAN, NAN, NAN, "000000000000f03f"],
  "00000000", // holes
  "00000000", // marks
];

/** A hole with a mark, an open gap with another. */
const GAPS_V1 = [
  "0500c384e298bc", // Ä☼
  "99000000",
  "000000000000f03f",
  "0000f44d42cc7842",
  "0000f44d42cc7842",
  "40771b00",
  "03000000",
  "00000000",
  "02000000",
  "0000680544cc7842",
  "05000000",
  ...[NAN, "000000000000e03f", NAN, NAN, "000000000000f43f"],
  "01000000",
  "01000000", // hole: from
  "00000cdf3ecc7842", // its time
  "02000000", // count
  "02000000", // judged
  "00000cdf3ecc7842", // id
  "02", // CLOSED
  "00000cdf3ecc7842", // from, as announced
  "02000000", // count, as announced
  "01000000", // rejected, as announced
  "02000000", // marks
  "01000000",
  "05000000",
];

const PLAIN_V1 = [
  "09004d4143303030303032", // MAC000002
  "64000000",
  "0000000000000040",
  "0000507447cc7842",
  "0000507447cc7842",
  "40771b00",
  "01000000",
  "00000000",
  "00000000",
  NAN,
  "05000000",
  ...[NAN, NAN, NAN, "d578e9263108cc3f", "000000000000d03f"],
  "00000000",
  "00000000",
];

const LEARNING_V1 = [
  "01004c",
  "40000000",
  "0000000000000840",
  "0000507447cc7842",
  "0000507447cc7842",
  "00000000", // interval: not known
  "02000000",
  "0000969846cc7842",
  "0000000000000440",
  "0000507447cc7842",
  "0000000000000840",
];

const TOMBSTONE_V1 = [GONE, "00000000"];

const OPTIONS = {
  ...DEFAULTS,
  expectedIntervalMs: "auto" as const,
  allowedLatenessMs: 2 * HOUR_MS,
};

/** Its section of a meter holds what version 1 wrote, with its length. */
const HEAD_V2 = ["02", "01", "05006d65746572", "01"];
const PLAIN_V2 = [PLAIN_V1[0], "68000000", ...PLAIN_V1.slice(1)];
const LEARNING_V2 = [LEARNING_V1[0], "44000000", ...LEARNING_V1.slice(1)];

function restored(...payloads: string[][]): Processor {
  const processor = new Processor(OPTIONS, decodeTask(TASK_V1));
  for (const payload of payloads) applyChanges(bytesOf("01", ...payload), processor);
  return processor;
}

Deno.test("decodeTask() reads of version 2 the state that version 1 says", () => {
  assert.deepEqual(decodeTask(TASK_V2), decodeTask(TASK_V1));
});

Deno.test("decodeAccount() reads the watermark as it was written; version 1 did not say it", () => {
  const { nextOffset, ledger } = decodeTask(TASK_V1);
  assert.deepEqual(decodeAccount(TASK_V2), { nextOffset, ledger, watermarkMs: ms("9:55") });
  assert.deepEqual(decodeAccount(TASK_V1), { nextOffset, ledger, watermarkMs: null });
  assert.equal(decodeAccount(EMPTY_TASK_V1).watermarkMs, null);
});

Deno.test("decodeTask() reads a task state of version 1", () => {
  assert.deepEqual(decodeTask(TASK_V1), {
    nextOffset: 13,
    nextSerial: 4,
    readingMaxMs: ms("10:00"),
    tickMaxMs: ms("10:15"),
    tickSerial: 4,
    clockMs: ms("10:15"),
    replaying: true,
    replayTicks: new Map(),
    partGaps: 0,
    partFindings: 0,
    ledger: { raw: 13, ok: 6, late: 1, too_late: 1, duplicate: 1, rejected: 3, tick: 1 },
  });
  assert.deepEqual(decodeTask(EMPTY_TASK_V1), {
    nextOffset: 0,
    nextSerial: 0,
    readingMaxMs: -Infinity,
    tickMaxMs: -Infinity,
    tickSerial: 0,
    clockMs: -Infinity,
    replaying: false,
    replayTicks: new Map(),
    partGaps: 0,
    partFindings: 0,
    ledger: { raw: 0, ok: 0, late: 0, too_late: 0, duplicate: 0, rejected: 0, tick: 0 },
  });
});

/** Every field of a meter. */
function meterOf({ meters }: Processor, id: string) {
  const i = meters.find(id);
  assert.notEqual(i, -1, id);
  const backs = meters.intervalMs[i] === 0 ? 0 : meters.ringLength(i) - 1;
  return {
    serial: meters.serial[i],
    lastMs: meters.lastMs(i),
    residuals: [...meters.grids.residuals.subarray(6 * i, 6 * i + 6)],
    forwardMs: meters.forwardMs(i),
    maxMs: meters.maxMs(i),
    intervalMs: meters.intervalMs[i],
    ordinal: meters.ordinal[i],
    firstOrdinal: meters.firstOrdinal[i],
    openSent: meters.openSent[i],
    openGap: meters.openGaps.get(i) ?? null,
    values: Array.from({ length: backs }, (_, back) => meters.valueAt(i, meters.ordinal[i] - back)),
    holes: meters.holes.get(i) ?? [],
    marks: meters.marks.get(i) ?? [],
    learning: meters.intervalMs[i] === 0 ? heldReadings(meters, i) : null,
  };
}

/** What version 1 did not say: its slots lay where their readings did. */
const ON_ITS_SLOT = { residuals: [0, 0, 0, 2 ** 31 - 1, -(2 ** 31), 1] };

const NO_GAPS = { openSent: 0, openGap: null, holes: [] as Hole[], marks: [], learning: null };

Deno.test("applyChanges() reads a plain meter of version 1", () => {
  assert.deepEqual(meterOf(restored(PLAIN_V1), "MAC000002"), {
    ...NO_GAPS,
    ...ON_ITS_SLOT,
    serial: 2,
    lastMs: ms("10:00"),
    forwardMs: ms("10:00"),
    maxMs: ms("10:00"),
    intervalMs: 30 * MINUTE_MS,
    ordinal: 1,
    firstOrdinal: 0,
    values: [0.25, 0.219, NaN, NaN, NaN],
  });
});

Deno.test("applyChanges() reads a meter of version 1 with a hole, marks and an open gap", () => {
  assert.deepEqual(meterOf(restored(GAPS_V1), "Ä☼"), {
    ...ON_ITS_SLOT,
    serial: 1,
    lastMs: ms("8:30"),
    forwardMs: ms("8:30"),
    maxMs: ms("8:30"),
    intervalMs: 30 * MINUTE_MS,
    ordinal: 3,
    firstOrdinal: 0,
    openSent: 2,
    openGap: null,
    values: [1.25, NaN, NaN, 0.5, NaN],
    holes: [{
      from: 1,
      fromMs: ms("7:30"),
      intervalMs: 30 * MINUTE_MS,
      count: 2,
      judged: 2,
      lost: 0,
      idMs: ms("7:30"),
      sentState: "CLOSED",
      sentFromMs: ms("7:30"),
      sentCount: 2,
      sentRejected: 1,
      most: 2,
      frozenRejected: -1,
    }],
    marks: [1, 5],
    learning: null,
  });
});

Deno.test("applyChanges() reads a meter of version 1 whose interval is being learned", () => {
  assert.deepEqual(meterOf(restored(LEARNING_V1), "L"), {
    ...NO_GAPS,
    ...ON_ITS_SLOT,
    forwardMs: ms("10:00"),
    serial: 3,
    lastMs: ms("10:00"),
    maxMs: ms("10:00"),
    intervalMs: 0,
    ordinal: 3, // four numbers are held
    firstOrdinal: 0,
    values: [],
    learning: [ms("9:45"), 2.5, ms("10:00"), 3],
  });
});

Deno.test("applyChanges() reads a tombstone of version 1, of a meter it knows or not", () => {
  assert.notEqual(restored(GONE_V1).meters.find("GONE"), -1);
  for (
    const payloads of [[GONE_V1, TOMBSTONE_V1], [TOMBSTONE_V1], [[...GONE_V1, ...TOMBSTONE_V1]]]
  ) {
    assert.equal(restored(...payloads).meters.count, 0);
  }
});

Deno.test("applyChanges() lets the last state of a meter stand", () => {
  const processor = restored(PLAIN_V1, GAPS_V1, PLAIN_V1, TOMBSTONE_V1, GONE_V1, LEARNING_V1);
  assert.equal(processor.meters.count, 4);
});

Deno.test("Processor goes on from bytes of version 1 as if it had never stopped", () => {
  const processor = restored(GONE_V1, [...TOMBSTONE_V1, ...GAPS_V1, ...PLAIN_V1, ...LEARNING_V1]);
  finishRestore(processor);
  const core = startHarness({}, processor);
  assert.equal(core.watermark(), "10:15");
  assert.equal(core.reading("MAC000002", "9:30", 0.219), "DUPLICATE");
  assert.equal(core.reading("L", "9:45", 1), "CONFLICT");
  assert.equal(core.reading("Ä☼", "8:15", 1), "CONFLICT", "half way: the later slot");
  core.reading("Ä☼", "10:30", 1);
  core.tick("10:45");
  assert.deepEqual(core.readGaps(), [
    "CLOSED Ä☼@9:00 9:00..10:30 3 rejected 1",
    "OPEN MAC000002@10:30 10:30..11:00 1",
  ]);
  assert.equal(processor.state.nextOffset, 18);
});

Deno.test("The codec reads sections of version 1 as it reads what had none", () => {
  const processor = new Processor(OPTIONS, decodeTask(TASK_V2));
  const payload = bytesOf(...HEAD_V2, ...TOMBSTONE_V1, ...PLAIN_V2, ...LEARNING_V2);
  applyChanges(payload, processor);
  const before = restored(PLAIN_V1, LEARNING_V1);
  for (const id of ["MAC000002", "L"]) {
    assert.deepEqual(meterOf(processor, id), meterOf(before, id));
  }
});

/** Version 3 of the task's section adds the ticks of replays. */
const TASK_V3 = bytesOf(
  ...["02", "01", "04007461736b", "03", "82000000"],
  ...hexOf(TASK_V1).slice(1),
  "0000122b47cc7842", // watermark, 9:55
  "01", // replays
  "0000507447cc7842", // one that began at 10:00
  "00000a5048cc7842", // its latest tick, 10:15
);

/** Version 4 adds how many gaps the parts of a tick have said. */
const TASK_V4 = bytesOf(
  ...["02", "01", "04007461736b", "04", "86000000"],
  ...hexOf(TASK_V3).slice(13),
  "07000000",
);

/** Version 5 adds how many findings. */
const TASK_V5 = bytesOf(
  ...["02", "01", "04007461736b", "05", "8a000000"],
  ...hexOf(TASK_V4).slice(13),
  "03000000",
);

const HEAD_METER_2 = ["02", "01", "05006d65746572", "02"];
const PLAIN_METER_2 = [
  "0300503132", // P12
  "70000000", // bytes of sections
  "6c000000", // bytes of this section
  "00000000", // flags: nothing of what few have
  "0000000000000040", // serial
  "0000507447cc7842", // slot, 10:00
  "10270000", // its reading 10 s after it
  "40771b00", // interval, 30 min
  ...["10270000", "204e0000", "ffffff7f", "00000080", "02000000"], // residuals
  "01000000", // ordinal
  "00000000", // first ordinal
  "06000000", // ring
  ...[NAN, NAN, NAN, NAN, "d578e9263108cc3f", "000000000000d03f"],
];

Deno.test("The codec reads the newest sections, and writes them byte for byte", () => {
  const state = decodeTask(TASK_V3);
  assert.deepEqual(state, {
    ...decodeTask(TASK_V1),
    replayTicks: new Map([[ms("10:00"), ms("10:15")]]),
  });
  const parted = decodeTask(TASK_V4);
  assert.deepEqual(parted, { ...state, partGaps: 7 });
  const found = decodeTask(TASK_V5);
  assert.deepEqual(found, { ...parted, partFindings: 3 });
  assert.deepEqual(encodeTask({ state: found, watermarkMs: ms("9:55") }), TASK_V5);
  const processor = new Processor(OPTIONS, state);
  applyChanges(bytesOf(...HEAD_METER_2, ...PLAIN_METER_2), processor);
  // Version 3 adds what few have; of this meter it writes the same.
  const payload = bytesOf(...HEAD_METER_2.slice(0, -1), "03", ...PLAIN_METER_2);
  const { slotMs } = processor.meters.grids;
  assert.equal(processor.meters.lastMs(0) - slotMs[0], 10_000);
  assert.deepEqual([...encodeAll(processor, 1 << 20)], [payload]);
});
