/**
 * A day or a month of a fleet, from a seed: meters report slot by slot, go silent, lose readings,
 * send them late, twice, or with another value, and a foreign producer writes what it likes.
 */
import { partitionOf } from "../../src/replay/partitioner.ts";
import { type Random, randomInteger, randomLogUniform } from "../../src/generate/random.ts";
import { BASE_MS } from "../specification/arbitraries.ts";
import type { OracleOptions } from "../specification/oracle.ts";
import type { RawRecord } from "./playback.ts";
import { METER_IDS } from "../specification/record_texts.ts";

export type FleetShape = {
  readonly settings: OracleOptions;
  readonly partitionCount: number;
  readonly meterCount: number;
  readonly recordsMax: number;
};

const MINUTE_MS = 60_000;
const USUAL_INTERVALS_MS = [10, 30, 15, 60].map((minutes) => minutes * MINUTE_MS);
const STEP_MS = 10 * MINUTE_MS;

/** Ids that are easily taken for another one. */
const HOSTILE_IDS = ["\ufeffM1", "M1@2024-01-01T00:00:00Z", "m1", "\u00c4 \u2606", "0".repeat(256)];

type Meter = {
  readonly id: string;
  readonly intervalMs: number;
  nextMs: number;
  downUntilMs: number;
};

type Held = { readonly arrivesMs: number; readonly meter: Meter; readonly text: string };
type Fleet = {
  readonly shape: FleetShape;
  readonly random: Random;
  readonly records: RawRecord[];
  readonly meters: readonly Meter[];
  held: Held[];
  nowMs: number;
  /** Drawn once a stream, so that streams differ in kind. */
  readonly likelihood: Readonly<Record<Mishap, number>>;
};

const MISHAPS = {
  lost: 0.2,
  delayed: 0.2,
  repeated: 0.1,
  unusable: 0.1,
  shifted: 0.1,
  down: 0.05,
  foreign: 0.1,
  tick: 1,
  leap: 0.01,
} as const;
type Mishap = keyof typeof MISHAPS;

/** The raw stream of a fleet; ticks stand in it once, for all partitions. */
export function fleetStream(random: Random, shape: FleetShape): RawRecord[] {
  const fleet = newFleet(random, shape);
  while (fleet.records.length < shape.recordsMax) {
    fleet.nowMs += STEP_MS;
    if (happens(fleet, "leap")) {
      fleet.nowMs += Math.floor(shape.settings.stateTtlMs * randomLogUniform(random, 0.2, 2.5));
      for (const meter of fleet.meters) catchUp(fleet, meter);
    }
    for (const meter of fleet.meters) report(fleet, meter);
    release(fleet);
    if (happens(fleet, "foreign")) sendForeign(fleet);
    if (happens(fleet, "tick")) sendTick(fleet);
  }
  return fleet.records.slice(0, shape.recordsMax);
}

function newFleet(random: Random, shape: FleetShape): Fleet {
  const { settings, meterCount } = shape;
  const learnedMs = USUAL_INTERVALS_MS[randomInteger(random, 0, 3)];
  const meters = Array.from({ length: meterCount }, (_, m): Meter => {
    const id = METER_IDS[m] ?? HOSTILE_IDS[m - 10] ?? `MAC${String(m).padStart(6, "0")}`;
    const intervalMs = settings.intervalMsByMeter.get(id) ?? settings.expectedIntervalMs;
    return {
      id,
      intervalMs: intervalMs === "auto" ? learnedMs : intervalMs,
      nextMs: BASE_MS + randomInteger(random, 0, 30) * MINUTE_MS,
      downUntilMs: -Infinity,
    };
  });
  // Every other stream is a quiet one; some have no ticks at all.
  const mild = random() < 0.5 ? 0.2 : 1;
  const tick = [0, 0.3, 1][randomInteger(random, 0, 2)];
  const likelihood = Object.fromEntries(
    Object.entries(MISHAPS).map(([mishap, most]) => [mishap, most * random() * mild]),
  ) as Record<Mishap, number>;
  return {
    shape,
    random,
    records: [],
    meters,
    held: [],
    nowMs: BASE_MS,
    likelihood: { ...likelihood, tick },
  };
}

function happens({ random, likelihood }: Fleet, mishap: Mishap): boolean {
  return random() < likelihood[mishap];
}

function catchUp({ nowMs }: Fleet, meter: Meter): void {
  const { intervalMs, nextMs } = meter;
  if (nextMs < nowMs) meter.nextMs += Math.ceil((nowMs - nextMs) / intervalMs) * intervalMs;
}

/** What a meter sends of the slots that have passed. */
function report(fleet: Fleet, meter: Meter): void {
  const { random, nowMs, shape: { settings } } = fleet;
  for (; meter.nextMs <= nowMs; meter.nextMs += meter.intervalMs) {
    if (nowMs < meter.downUntilMs || happens(fleet, "lost")) continue;
    if (happens(fleet, "down")) {
      const slots = Math.ceil(randomLogUniform(random, 1, 40));
      meter.downUntilMs = nowMs + slots * meter.intervalMs;
    }
    const atMs = meter.nextMs + (happens(fleet, "shifted") ? shiftMs(fleet, meter) : 0);
    const text = happens(fleet, "unusable")
      ? unusableReading(fleet, meter, atMs)
      : usableReading(fleet, meter, atMs);
    if (!happens(fleet, "delayed")) send(fleet, meter, text);
    else hold(fleet, meter, text, settings.allowedLatenessMs + 4 * meter.intervalMs);
    if (!happens(fleet, "repeated")) continue;
    const repeat = random() < 0.5 ? text : usableReading(fleet, meter, atMs);
    hold(fleet, meter, repeat, 3 * meter.intervalMs);
  }
}

/** On and around the edges at which a reading is flagged, or belongs to another slot. */
function shiftMs({ random, shape: { settings } }: Fleet, { intervalMs }: Meter): number {
  const toleranceMs = settings.timeToleranceMs ?? intervalMs / 10;
  const sizesMs = [toleranceMs, toleranceMs + 1, intervalMs / 2, intervalMs / 2 - 1, 61_000, 999];
  return (random() < 0.5 ? -1 : 1) * sizesMs[randomInteger(random, 0, sizesMs.length - 1)];
}

function usableReading({ random, nowMs }: Fleet, { id }: Meter, atMs: number): string {
  const kwh = randomInteger(random, 0, 3000) / 1000;
  const time = timeText(atMs);
  switch (randomInteger(random, 0, 19)) {
    case 0:
      return JSON.stringify({ meter_id: ` ${id}`, timestamp: atMs, consumption_kwh: kwh });
    case 1:
      return JSON.stringify({ consumption_kwh: `${kwh}`, meter_id: id, timestamp: time, x: [1] });
    case 2:
      return `{"meter_id":${JSON.stringify(id)},"timestamp":"${time}","consumption_kwh":${kwh}` +
        `,"received_at":"${timeText(nowMs + 1000)}"}`;
    default:
      return JSON.stringify({ meter_id: id, timestamp: time, consumption_kwh: kwh });
  }
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString().replace(".000Z", "Z");
}

/** A reading of a known slot whose value is no use, or one dated far ahead of its arrival. */
function unusableReading(fleet: Fleet, { id }: Meter, atMs: number): string {
  const { random, nowMs, shape: { settings } } = fleet;
  const head = `{"meter_id":${JSON.stringify(id)},"timestamp":"${timeText(atMs)}"`;
  const values = ["-0.5", "101", "null", `"0,5"`, "1e999", "[]"];
  const pick = randomInteger(random, 0, values.length + 1);
  if (pick < values.length) return `${head},"consumption_kwh":${values[pick]}}`;
  if (pick === values.length) return `${head}}`;
  const futureMs = nowMs + settings.maxFutureMs + 1;
  return `{"meter_id":${JSON.stringify(id)},"timestamp":"${timeText(futureMs)}",` +
    `"consumption_kwh":1,"received_at":"${timeText(nowMs)}"}`;
}

function hold(fleet: Fleet, meter: Meter, text: string, delayMsMax: number): void {
  const arrivesMs = fleet.nowMs + Math.floor(fleet.random() * delayMsMax);
  fleet.held.push({ arrivesMs, meter, text });
}

function release(fleet: Fleet): void {
  const due = fleet.held.filter(({ arrivesMs }) => arrivesMs <= fleet.nowMs);
  if (due.length === 0) return;
  fleet.held = fleet.held.filter(({ arrivesMs }) => arrivesMs > fleet.nowMs);
  for (const { meter, text } of due) send(fleet, meter, text);
}

const encoder = new TextEncoder();

function send({ shape, records }: Fleet, { id }: Meter, text: string): void {
  records.push({ partition: partitionOf(encoder.encode(id), shape.partitionCount), text });
}

/** What is no reading goes wherever its producer sends it. */
function sendForeign({ random, records, shape }: Fleet): void {
  const texts = [
    "",
    "not json",
    "[]",
    "{}",
    `{"meter_id":"M1","timestamp":"2024/01/01","consumption_kwh":1}`,
    `{"meter_id":null,"timestamp":"2024-01-01","consumption_kwh":1}`,
    `{"type":"tick","timestamp":"noon"}`,
    `{"timestamp":"2024-01-01","consumption_kwh":${"9".repeat(2000)}}`,
  ];
  records.push({
    partition: randomInteger(random, 0, shape.partitionCount - 1),
    text: texts[randomInteger(random, 0, texts.length - 1)],
  });
}

function sendTick({ random, nowMs, records }: Fleet): void {
  const atMs = nowMs - (random() < 0.1 ? 2 * STEP_MS : 0);
  const final = random() < 0.02 ? `,"final":true` : "";
  records.push({
    partition: -1,
    text: `{"type":"tick","timestamp":"${timeText(atMs)}"${final}}`,
  });
}
