import { encodeAll } from "../../src/core/codec.ts";
import { JsonWriter } from "../../src/core/wire/output_json.ts";
import { Processor } from "../../src/core/processor.ts";
import { newRawRecord } from "../../src/core/wire/raw_record.ts";
import { benchOptions } from "./options.ts";
import { printRate, residentMib, time } from "./figures.ts";

const START_MS = Date.UTC(2013, 0, 1);
const SLOT_MS = 1_800_000;
const encoder = new TextEncoder();

/** The core alone: objects, JSON bytes to JSON bytes, a million meters, their silence. */
export async function benchCore(): Promise<void> {
  await benchMillion();
  await benchObjects();
  await benchJson();
}

function meterIds(count: number): string[] {
  return Array.from({ length: count }, (_, m) => `MTR${String(m).padStart(6, "0")}`);
}

async function benchObjects(): Promise<void> {
  const ids = meterIds(10_000);
  const readings = 5_000_000;
  const processor = new Processor({ ...benchOptions(), expectedIntervalMs: SLOT_MS });
  const reading = { meterId: "", timestampMs: START_MS, consumptionKwh: 0.219, offset: 0 };
  let validated = 0;
  const timing = await time(() => {
    for (let n = 0, slotMs = START_MS; n < readings; slotMs += SLOT_MS) {
      reading.timestampMs = slotMs;
      for (const id of ids) {
        reading.meterId = id;
        reading.offset = n++;
        processor.reading(reading);
      }
      validated += processor.takeOutputs().validated.length;
    }
  });
  if (validated !== readings) throw new Error(`${validated} of ${readings} came out`);
  printRate("core: readings to outputs as objects", readings, timing, "goal 2,000,000/s");
}

async function benchJson(): Promise<void> {
  const ids = meterIds(10_000);
  const slots = 200;
  const processor = new Processor({ ...benchOptions(), expectedIntervalMs: SLOT_MS });
  const writer = new JsonWriter();
  const raw = newRawRecord();
  const sum = { wallSeconds: 0, cpuSeconds: 0 };
  let bytesOut = 0;
  for (let slot = 0; slot < slots; slot++) {
    const { bytes, ends } = rawSlot(ids, START_MS + slot * SLOT_MS);
    raw.bytes = bytes;
    const timing = await time(() => {
      for (let r = 0, start = 0; r < ids.length; start = ends[r++]) {
        raw.start = start;
        raw.end = ends[r];
        raw.offset = slot * ids.length + r;
        processor.record(raw);
      }
      const { validated } = processor.takeOutputs();
      writer.reset();
      for (const reading of validated) writer.validated(reading);
    });
    bytesOut += writer.length;
    sum.wallSeconds += timing.wallSeconds;
    sum.cpuSeconds += timing.cpuSeconds;
  }
  const what = `core: JSON bytes to JSON bytes (${Math.round(bytesOut / 1e6)} MB out)`;
  printRate(what, ids.length * slots, sum, "goal 700,000/s");
}

function rawSlot(ids: readonly string[], slotMs: number): { bytes: Uint8Array; ends: Int32Array } {
  const timestamp = new Date(slotMs).toISOString().replace(".000", "");
  const ends = new Int32Array(ids.length);
  let text = "";
  ids.forEach((id, r) => {
    const kwh = ((r * 7919 + slotMs / SLOT_MS) % 2000 / 1000).toFixed(3);
    text += `{"meter_id":"${id}","timestamp":"${timestamp}","consumption_kwh":${kwh}}`;
    ends[r] = text.length;
  });
  return { bytes: encoder.encode(text), ends };
}

/** A million meters' state, and a silence of all of them judged in one step. */
async function benchMillion(): Promise<void> {
  const meters = 1_000_000;
  const before = residentMib();
  const processor = new Processor({ ...benchOptions(), expectedIntervalMs: SLOT_MS });
  let offset = 0;
  const timing = await time(() => {
    for (let slot = 0; slot < 3; slot++) {
      for (let m = 0; m < meters; m++) {
        const meterId = `MTR${String(m).padStart(7, "0")}`;
        const timestampMs = START_MS + slot * SLOT_MS;
        processor.reading({ meterId, timestampMs, consumptionKwh: 0.219, offset: offset++ });
        if (offset % 10_000 === 0) processor.takeOutputs();
      }
    }
  });
  processor.takeOutputs();
  processor.meters.takeChanges();
  const stateMib = residentMib() - before;
  printRate("core: a million meters, three slots each", 3 * meters, timing);
  console.log(`core: state of a million meters${String(stateMib).padStart(26)} MiB  goal 400 MB`);
  const tick = encoder.encode('{"type":"tick","timestamp":"2013-01-01T04:00:00Z"}');
  const silence = await time(() =>
    processor.record({ ...newRawRecord(), bytes: tick, end: tick.length, offset })
  );
  const gaps = processor.takeOutputs().gaps.length;
  if (gaps !== meters) throw new Error(`${gaps} gaps for ${meters} silent meters`);
  console.log(
    `core: silence of a million meters judged${silence.wallSeconds.toFixed(2).padStart(17)} s    ` +
      "goal 2 s",
  );
  let bytes = 0;
  const snapshot = await time(() => {
    for (const part of encodeAll(processor, 1 << 20)) bytes += part.length;
  });
  console.log(
    `core: snapshot of a million meters${snapshot.wallSeconds.toFixed(2).padStart(23)} s, ` +
      `${Math.round(bytes / 1e6)} MB`,
  );
}
