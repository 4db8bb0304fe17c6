import { SaxesParser } from "saxes";
import { headerOf, newRowWriter, rowText, type RowWriter } from "./row_writer.ts";
import type { RowStage } from "./table_stage.ts";

/*
 * Green Button (NAESB ESPI) as XML, by whatever prefix: a feed of entries, each a usage point, a meter
 * reading, a reading type or a block of interval readings, which their links tie to each other.
 */

/** Whether text is such a feed. */
export function isGreenButton(text: string): boolean {
  return /^\s*<[^]*naesb\.org\/espi/.test(text.slice(0, 65_536));
}

/** A reading type: what its values are of, and by which power of ten. */
type ReadingType = { uom: number; power: number };
/** Watt hours, and watts. */
const WATT_HOURS = 72;
const WATTS = 38;

type Interval = { start: string; duration: string; value: string; line: number };

type Entry = {
  self: string;
  up: string;
  readonly related: string[];
  title: string;
  kind: string;
  readonly type: ReadingType;
  readonly intervals: Interval[];
};

type Feed = {
  readonly writer: RowWriter;
  readonly meterId: string | undefined;
  readonly fileName: string;
  readonly types: Map<string, ReadingType>;
  /** Usage points and meter readings, by their links. */
  readonly titles: Map<string, string>;
  readonly typeOfReading: Map<string, string>;
  /** Blocks that came before what says their type. */
  readonly waiting: { readonly reading: string; readonly intervals: readonly Interval[] }[];
};

const newEntry = (): Entry => ({
  self: "",
  up: "",
  related: [],
  title: "",
  kind: "",
  type: { uom: WATT_HOURS, power: 0 },
  intervals: [],
});

/** Reads a feed. What cannot be parsed any further is noted; what came before it is read. */
export function greenButtonStage(
  { meterId, fileName }: { readonly meterId?: string; readonly fileName: string },
): RowStage {
  const writer = newRowWriter();
  const feed: Feed = {
    writer,
    meterId,
    fileName,
    types: new Map(),
    titles: new Map(),
    typeOfReading: new Map(),
    waiting: [],
  };
  let rows = "";
  const parser = newParser(feed, (made) => rows += made);
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let isBroken = false;
  const parse = (work: () => void) => {
    if (isBroken) return;
    try {
      work();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      isBroken = true;
      writer.faults.push(`line ${parser.line}: XML that can be read expected: ${error.message}`);
    }
  };
  return {
    writer,
    stage: {
      push: (bytes, isLast, emit) => {
        parse(() => void parser.write(decoder.decode(bytes, { stream: !isLast })));
        if (isLast) {
          parse(() => void parser.close());
          for (const { reading, intervals } of feed.waiting) {
            rows += rowsOf(feed, reading, intervals);
          }
          rows += headerOf(writer);
        }
        if (rows !== "") emit(encoder.encode(rows));
        rows = "";
      },
    },
  };
}

function newParser(feed: Feed, emit: (rows: string) => void): SaxesParser {
  const parser = new SaxesParser();
  let entry = newEntry();
  let interval: Interval | null = null;
  let text = "";
  const localName = (name: string) => name.slice(name.indexOf(":") + 1);
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes }) => {
    text = "";
    const local = localName(name);
    if (local === "entry") entry = newEntry();
    else if (local === "IntervalReading") {
      interval = { start: "", duration: "", value: "", line: parser.line };
    } else if (local === "link") takeLink(entry, attributes);
    else if (KINDS.has(local)) entry.kind = local;
  });
  parser.on("text", (piece) => text += piece);
  parser.on("closetag", ({ name }) => {
    const local = localName(name);
    const value = text.trim();
    text = "";
    if (interval !== null && (local === "start" || local === "duration" || local === "value")) {
      interval[local] = value;
    } else if (local === "IntervalReading" && interval !== null) {
      entry.intervals.push(interval);
      interval = null;
    } else if (local === "title") entry.title = value;
    else if (local === "uom") entry.type.uom = Number(value);
    else if (local === "powerOfTenMultiplier") entry.type.power = Number(value);
    else if (local === "entry") emit(endEntry(feed, entry));
  });
  return parser;
}

const KINDS = new Set(["UsagePoint", "MeterReading", "ReadingType", "IntervalBlock"]);

function takeLink(entry: Entry, attributes: Readonly<Record<string, unknown>>): void {
  const href = String(attributes.href ?? "");
  if (attributes.rel === "self") entry.self = href;
  else if (attributes.rel === "up") entry.up = href;
  else if (attributes.rel === "related") entry.related.push(href);
}

function endEntry(feed: Feed, { kind, self, up, related, title, type, intervals }: Entry): string {
  switch (kind) {
    case "UsagePoint":
      feed.titles.set(self, title);
      return "";
    case "MeterReading": {
      feed.titles.set(self, title);
      const of = related.find((href) => /\/ReadingType\/[^/]+$/.test(href));
      if (of !== undefined) feed.typeOfReading.set(self, of);
      return "";
    }
    case "ReadingType":
      feed.types.set(self, type);
      return "";
    case "IntervalBlock": {
      const reading = up.replace(/\/IntervalBlock$/, "");
      if (typeOf(feed, reading) !== null) return rowsOf(feed, reading, intervals);
      feed.waiting.push({ reading, intervals });
      return "";
    }
    default:
      return "";
  }
}

function typeOf({ types, typeOfReading }: Feed, reading: string): ReadingType | null {
  return types.get(typeOfReading.get(reading) ?? "") ?? null;
}

const lastOf = (href: string) => href.split("/").pop() ?? "";

function rowsOf(feed: Feed, reading: string, intervals: readonly Interval[]): string {
  const { writer, meterId, fileName, titles } = feed;
  const { uom, power } = typeOf(feed, reading) ?? { uom: WATT_HOURS, power: 0 };
  const point = reading.replace(/\/MeterReading\/[^/]*$/, "");
  const meter = meterId ?? (titles.get(point) || lastOf(point) || fileName);
  const channel = titles.get(reading) || lastOf(reading);
  let rows = "";
  for (const { start, duration, value, line } of intervals) {
    const hours = uom === WATTS ? Number(duration) / 3600 : 1;
    const scale = uom === WATT_HOURS || uom === WATTS ? 10 ** power / 1000 * hours : 10 ** power;
    const kwh = Number((Number(value) * scale).toPrecision(12));
    rows += rowText(writer, line, {
      meter,
      channel,
      time: isoOf(start),
      value: value === "" || Number.isNaN(kwh) ? value : String(kwh),
    });
  }
  return rows;
}

/** Epoch seconds as ISO 8601, or the text as it stands. */
function isoOf(text: string): string {
  const seconds = Number(text);
  const isTime = /^\d+$/.test(text) && seconds < 8_640_000_000_000;
  return isTime ? new Date(seconds * 1000).toISOString() : text;
}
