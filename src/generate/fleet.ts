import { formatTimestamp } from "../core/time.ts";
import { createLoad } from "./load.ts";
import { createRandom, hash32 } from "./random.ts";
import { type Random, randomFailures, randomInteger, randomLogUniform } from "./random.ts";
import { planWrongs, type Wrong, Wronger } from "./wrong_values.ts";

/** Which fleet to make. The same options give the same bytes. */
export type FleetOptions = {
  /** Its low 32 bits count. */
  readonly seed: number;
  readonly meters: number;
  readonly days: number;
  readonly intervalMinutes: number;
  /** The first slot, epoch milliseconds, a whole second. */
  readonly startMs: number;
  /** No defects at all. */
  readonly clean: boolean;
  /** Besides what a pipeline finds, what validation rules look for; the default is not. */
  readonly hasWrongs?: boolean;
};

/** Nothing is written: for one slot, a few, hours, hours of a whole feeder, or for good. */
const GAP_KINDS = ["missing", "short_gap", "outage", "group_outage", "churn"] as const;
const LATE_KINDS = ["late", "too_late"] as const;
const VALUE_KINDS = ["duplicate", "conflict", "spike", "stuck", "negative", "unusable"] as const;

/** The defects, in the order they are counted everywhere. */
export const DEFECT_KINDS = [...GAP_KINDS, ...LATE_KINDS, ...VALUE_KINDS] as const;
export type DefectKind = typeof DEFECT_KINDS[number];

/** One injected defect, in slots counted from the start of the fleet. */
export type FleetDefect = {
  readonly kind: DefectKind;
  readonly meter: number;
  /** The slots from here to `to` (half open) are spoiled. */
  readonly from: number;
  readonly to: number;
  /** The meter is otherwise clean before here: for a late reading, until it has arrived. */
  readonly end: number;
  /** `late`, `too_late`: seconds; `spike`: factor; `conflict`: Wh more; `unusable`: which text. */
  readonly detail: number;
  /** The value written and the true one; set when `fleetCsv` passes the slot. */
  writtenWh: number;
  trueWh: number;
};

/** What will be written, known before any of it is. */
export type FleetPlan = {
  readonly options: FleetOptions;
  readonly slots: number;
  readonly intervalMs: number;
  /** Each meter's defects in the order of the slots. */
  readonly defectsByMeter: readonly (readonly FleetDefect[])[];
  /** Each meter's spans of wrong values, likewise; no defect is in one. */
  readonly wrongsByMeter: readonly (readonly Wrong[])[];
};

/** The values of an `unusable` reading. */
export const UNUSABLE_VALUES = ["Null", "", "NaN"] as const;

/** Clean slots at either end of a meter's history, so that every gap but a churn closes. */
const EDGE_SLOTS = 4;
/** Clean slots after a defect, so that no two gaps of a meter touch. */
const GUARD_SLOTS = 2;
/** A slot is missing this long after its time. */
const GRACE_MINUTES = 15;
const ONE_OF_EACH_SLOTS_MIN = 120;
const CHUNK_CHARS = 1 << 16;

/** How often a kind strikes: its share of the slots, or once in so many weeks of a meter. */
const RATES: readonly { kind: DefectKind; share?: number; weeks?: number }[] = [
  { kind: "missing", share: 0.003 },
  { kind: "short_gap", share: 0.0003 },
  { kind: "outage", weeks: 20 },
  { kind: "late", share: 0.005 },
  { kind: "too_late", share: 0.001 },
  { kind: "duplicate", share: 0.002 },
  { kind: "conflict", share: 0.0005 },
  { kind: "spike", share: 0.0005 },
  { kind: "stuck", weeks: 6 },
  { kind: "negative", share: 0.0005 },
  { kind: "unusable", share: 0.0005 },
  { kind: "churn", weeks: 400 },
];

/** Defects end before slot `room`: a gap closes, and is judged, before the data end. */
type Grid = { readonly slots: number; readonly room: number; readonly intervalMinutes: number };
type Meter = { readonly meter: number; readonly grid: Grid; readonly random: Random };

/**
 * Draws all defects of a fleet. Each meter is a renewal process of its own: a clean stretch, a
 * defect, a clean stretch. The group outage and one defect of each kind (in a fleet of at least 5
 * meters, 5 days and 120 slots) are laid down first, and the process walks round them.
 */
export function planFleet(options: FleetOptions): FleetPlan {
  const { seed, meters, clean, intervalMinutes } = options;
  const slots = Math.floor(options.days * 1440 / intervalMinutes);
  const room = slots - Math.max(EDGE_SLOTS, 1 + Math.ceil(GRACE_MINUTES / intervalMinutes));
  const grid = { slots, room, intervalMinutes };
  const placed = clean ? [] : placeOneOfEach(options, grid);
  const cycle = createCycle(grid);
  const defectsByMeter = Array.from({ length: meters }, (_, meter) => {
    const random = createRandom(hash32(hash32(seed, 1), meter));
    return clean ? [] : planMeter({ meter, grid, random, cycle, placed: placed[meter] ?? [] });
  });
  const wrongsByMeter = options.hasWrongs && !clean
    ? planWrongs(options, { slots: room, defectsByMeter })
    : defectsByMeter.map(() => []);
  return { options, slots, intervalMs: intervalMinutes * 60_000, defectsByMeter, wrongsByMeter };
}

type Cycle = { readonly cleanSlots: number; readonly drawKind: (random: Random) => DefectKind };

/**
 * The mean clean stretch is what the mean cycle leaves after the mean defect, so that the rates
 * hold however many slots a defect takes.
 */
function createCycle(grid: Grid): Cycle {
  const slotsAWeek = 10_080 / grid.intervalMinutes;
  const shares = RATES.map(({ share, weeks }) => share ?? 1 / (weeks! * slotsAWeek));
  const total = shares.reduce((sum, share) => sum + share);
  const at = { meter: 0, grid, random: createRandom(0), from: 0, room: grid.slots };
  let slotsTaken = 0;
  RATES.forEach(({ kind }, i) => {
    for (let draw = 0; kind !== "churn" && draw < 64; draw++) {
      slotsTaken += drawDefect(kind, at).end * shares[i] / total / 64;
    }
  });
  const drawKind = (random: Random): DefectKind => {
    let left = random() * total;
    return (RATES.find((_, i) => (left -= shares[i]) < 0) ?? RATES[0]).kind;
  };
  return { cleanSlots: 1 / total - slotsTaken - GUARD_SLOTS, drawKind };
}

/** Draws one meter's defects. Those already placed win over those drawn. */
function planMeter(of: Meter & { readonly cycle: Cycle; readonly placed: FleetDefect[] }) {
  const { meter, grid, grid: { room }, random, cycle, placed } = of;
  const defects: FleetDefect[] = [];
  let free = EDGE_SLOTS, next = 0;
  while (free < room || next < placed.length) {
    const from = free + randomFailures(random, cycle.cleanSlots);
    const kind = cycle.drawKind(random);
    const defect = drawDefect(kind, { meter, grid, random, from, room });
    // Meter 0 never stops, so that the fleet's last slot is always read.
    const fits = kind === "churn" ? meter > 0 : defect.end <= room;
    if (next < placed.length && defect.end + GUARD_SLOTS > placed[next].from) {
      defects.push(placed[next]);
      free = placed[next++].end + GUARD_SLOTS;
    } else if (from < room && fits) {
      defects.push(defect);
      free = defect.end + GUARD_SLOTS;
    } else {
      free = from + 1;
    }
  }
  return defects;
}

/** Where a defect begins, and by which slot it should end: an outage is cut to fit. */
type Place = Meter & { readonly from: number; readonly room: number };

/** Draws the size of a defect. */
function drawDefect(kind: DefectKind, { meter, from, room, grid, random }: Place): FleetDefect {
  const slotsOf = (hours: number) => Math.max(1, Math.round(hours * 60 / grid.intervalMinutes));
  let slots = 1, detail = 0;
  if (kind === "short_gap") {
    slots = randomInteger(random, 2, 6);
  } else if (kind === "outage") {
    const slotsMax = Math.max(slotsOf(2), Math.min(room - from, grid.slots >> 2));
    slots = Math.min(slotsMax, slotsOf(randomLogUniform(random, 2, 48)));
  } else if (kind === "group_outage") {
    slots = slotsOf(randomInteger(random, 1, 6));
  } else if (kind === "stuck") {
    slots = Math.max(EDGE_SLOTS, slotsOf(6 + 18 * random()));
  } else if (kind === "churn") {
    slots = grid.slots - from;
  } else if (kind === "late") {
    detail = 60 * randomInteger(random, 5, 54) + randomInteger(random, 1, 59);
  } else if (kind === "too_late") {
    // An interval past the lateness: too late by the readings alone, not only by ticks.
    const minutesMin = 65 + Math.min(grid.intervalMinutes, 180);
    detail = 60 * randomInteger(random, minutesMin, 359) + randomInteger(random, 1, 59);
  } else if (kind === "spike") {
    detail = randomInteger(random, 20, 50);
  } else if (kind === "conflict") {
    detail = randomInteger(random, 1, 200);
  } else if (kind === "unusable") {
    detail = randomInteger(random, 0, UNUSABLE_VALUES.length - 1);
  }
  const to = from + slots;
  const end = isDelayed(kind) ? from + Math.ceil(detail / 60 / grid.intervalMinutes) : to;
  return { kind, meter, from, to, end, detail, writtenWh: 0, trueWh: 0 };
}

/** Whether nothing is written at all. */
export function isGap(kind: DefectKind): kind is typeof GAP_KINDS[number] {
  return (GAP_KINDS as readonly DefectKind[]).includes(kind);
}

/** Whether a reading of this kind arrives after its time, and so says when. */
export function isDelayed(kind: DefectKind): kind is typeof LATE_KINDS[number] {
  return (LATE_KINDS as readonly DefectKind[]).includes(kind);
}

/**
 * A feeder's outage in the first fifth of the time; then the meters, in turn, take one defect of
 * each kind in equal parts of the time left, the churn last.
 */
function placeOneOfEach({ seed, meters, days }: FleetOptions, grid: Grid): FleetDefect[][] {
  if (meters < 5 || days < 5 || grid.slots < ONE_OF_EACH_SLOTS_MIN) return [];
  const placed: FleetDefect[][] = [];
  const add = (defect: FleetDefect) => (placed[defect.meter] ??= []).push(defect);
  const random = createRandom(hash32(seed, 2));
  const tenth = Math.floor(grid.slots / 10);
  const from = EDGE_SLOTS + randomInteger(random, tenth, 2 * tenth);
  const outage = drawDefect("group_outage", { meter: 0, grid, random, from, room: grid.slots });
  const feederMeters = Math.max(2, Math.ceil(meters * (0.2 + 0.3 * random())));
  const feeder = randomInteger(random, 0, meters - feederMeters);
  for (let i = 0; i < feederMeters; i++) add({ ...outage, meter: feeder + i });

  const start = outage.end + GUARD_SLOTS;
  const part = Math.floor((grid.room - start) / Math.ceil(RATES.length / meters));
  // Turned so that the last kind, the churn, does not fall on meter 0.
  const first = RATES.length * (meters - 1) + 1 + randomInteger(random, 1, meters - 1);
  RATES.forEach(({ kind }, i) => {
    const from = start + part * Math.floor(i / meters);
    const room = from + part - GUARD_SLOTS;
    const place = { meter: (first + i) % meters, grid, random, from, room };
    const defect = drawDefect(kind, place);
    const spare = kind === "churn" ? part >> 1 : Math.max(0, room - defect.end);
    const shift = randomInteger(random, 0, spare);
    const to = kind === "churn" ? defect.to : defect.to + shift;
    add({ ...defect, from: from + shift, to, end: to + defect.end - defect.to });
  });
  return placed;
}

/** The id of a meter by its index: `MTR000001` is meter 0. */
export function meterId(meter: number): string {
  return "MTR" + String(meter + 1).padStart(6, "0");
}

/** kWh with three decimals. */
const kwhText = (wh: number): string => (wh / 1000).toFixed(3);

/**
 * The fleet as CSV in order of arrival, in pieces of some 64 KiB; memory does not grow with time.
 * Sets the values of the plan's defects on the way. `received_at` is a column only when a reading
 * is late, and empty for those on time.
 */
export function* fleetCsv(plan: FleetPlan): Generator<string> {
  const { options, slots, intervalMs, defectsByMeter } = plan;
  const load = createLoad(options);
  const wronger = new Wronger(plan);
  const usedWh = new Float64Array(options.meters);
  const hasArrivals = defectsByMeter.some((of) => of.some(({ kind }) => isDelayed(kind)));
  const heads = Array.from({ length: options.meters }, (_, meter) => meterId(meter) + ",");
  const lastWh = new Int32Array(options.meters);
  const next = new Int32Array(options.meters);
  const arriving: { readonly atMs: number; readonly row: string }[][] = [];
  let text = "meter_id,timestamp,consumption_kwh" + (hasArrivals ? ",received_at\n" : "\n");
  for (let slot = 0; slot < slots; slot++) {
    const timeMs = options.startMs + slot * intervalMs;
    const stamp = formatTimestamp(timeMs) + ",";
    const end = hasArrivals ? ",\n" : "\n";
    load.beginSlot(timeMs);
    for (let meter = 0; meter < options.meters; meter++) usedWh[meter] = load.useWh(meter);
    for (let meter = 0; meter < options.meters; meter++) {
      const wh = wronger.written(meter, slot, usedWh);
      const defect = defectsByMeter[meter][next[meter]];
      if (defect === undefined || slot < defect.from) {
        text += heads[meter] + stamp + kwhText(wh) + end;
      } else {
        const values = valuesWritten(defect, { slot, wh, lastWh: lastWh[meter] });
        if (isDelayed(defect.kind)) {
          const atMs = timeMs + defect.detail * 1000;
          const row = heads[meter] + stamp + values[0] + "," + formatTimestamp(atMs) + "\n";
          const until = slot + Math.floor(defect.detail * 1000 / intervalMs);
          (arriving[until] ??= []).push({ atMs, row });
        } else {
          for (const value of values) text += heads[meter] + stamp + value + end;
        }
        // A stuck value still decides the slot after it, which must differ.
        if (slot >= (defect.kind === "stuck" ? defect.to : defect.to - 1)) next[meter]++;
      }
      lastWh[meter] = wh;
      if (text.length >= CHUNK_CHARS) {
        yield text;
        text = "";
      }
    }
    const arrived = arriving[slot] ?? [];
    for (const { row } of arrived.sort((a, b) => a.atMs - b.atMs)) text += row;
    delete arriving[slot];
  }
  yield text;
}

type Moment = { readonly slot: number; readonly wh: number; readonly lastWh: number };

/** The values a spoiled slot is written with, in order; notes them in the defect. */
function valuesWritten(defect: FleetDefect, { slot, wh, lastWh }: Moment): readonly string[] {
  if (slot === defect.from) defect.trueWh = defect.writtenWh = wh;
  const { kind } = defect;
  if (isGap(kind)) return [];
  if (isDelayed(kind)) return [kwhText(wh)];
  switch (kind) {
    case "duplicate":
      return [kwhText(wh), kwhText(wh)];
    case "conflict":
      defect.writtenWh = wh + defect.detail;
      return [kwhText(wh), kwhText(defect.writtenWh)];
    case "spike":
      defect.writtenWh = Math.max(1, wh) * defect.detail;
      return [kwhText(defect.writtenWh)];
    case "stuck":
      if (slot === defect.from) defect.writtenWh = Math.max(1, wh) + +(lastWh === Math.max(1, wh));
      if (slot === defect.to) return [kwhText(wh === defect.writtenWh ? wh + 1 : wh)];
      return [kwhText(defect.writtenWh)];
    case "negative":
      defect.writtenWh = -Math.max(1, wh);
      return [kwhText(defect.writtenWh)];
    case "unusable":
      return [UNUSABLE_VALUES[defect.detail]];
    default:
      throw new Error(`no such defect: ${kind satisfies never}`);
  }
}
