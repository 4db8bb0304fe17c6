import { splitCells } from "./cells.ts";
import { decide, type Decided } from "./decided.ts";
import { greenButtonStage, isGreenButton } from "./green_button.ts";
import { MARKET_ZONE, nemOf, nemStage } from "./nem12.ts";
import { PROFILES } from "./profile.ts";
import { ReadError } from "./read_error.ts";
import type { RowWriter } from "./row_writer.ts";
import { headThrough, joinStages, type Stage } from "./stage.ts";
import { decideTable, findTable, type FormatOptions, type Table } from "./table.ts";
import { tableStage } from "./table_stage.ts";
import { type Encoding, isUtf8, transcodeStage, wideEncodingOf } from "./transcode.ts";
import { gunzipStage } from "./unpack.ts";

/** What a file was found to be, and how it is read. */
export type Found = {
  /** The format's name, as `gridwatch formats` lists it. */
  readonly format: string;
  /** A sample of it was never at hand. */
  readonly isUnverified: boolean;
  readonly decided: Decided;
  /** How far its times stand behind the beginning of their intervals. */
  readonly labelMs: number;
  /** The zone of its times without an offset, where its format says it. */
  readonly timezone: string | null;
  /** Whether ids may carry a channel. */
  readonly hasChannels: boolean;
  /** Makes plain CSV of its bytes; null: it is that. */
  readonly open: (() => Opened) | null;
};

/** The way from a file's bytes to plain CSV, at its beginning. */
export type Opened = { readonly stage: Stage; readonly writer: RowWriter };

/** The beginning of a file. */
export type Head = {
  readonly bytes: Uint8Array;
  readonly isWhole: boolean;
  /** Its name, for messages, and without folder and ending for what has no other. */
  readonly file: string;
  readonly name: string;
  /** What makes text of its bytes, beyond what they show themselves. */
  readonly stages?: readonly (() => Stage)[];
};

const GZIP = [0x1f, 0x8b];

/** Finds out what a file is that no plain reader reads as it stands; null: nothing that is known. */
export function findFormat(head: Head, options: FormatOptions): Found | null {
  const before: (() => Stage)[] = [...head.stages ?? []];
  let { bytes, isWhole } = head;
  if (before.length > 0) bytes = headThrough(before.map((make) => make()), bytes, isWhole);
  if (GZIP.every((byte, at) => bytes[at] === byte)) {
    before.push(() => gunzipStage(head.file));
    bytes = headThrough([gunzipStage(head.file)], bytes, isWhole);
    if (bytes.length === 0) {
      throw new ReadError(
        `Cannot read "${head.file}": its gzip data end before anything is in them`,
        "copy or download it again",
      );
    }
    // What comes out may end within a line, also where the file is whole here.
    isWhole = isWhole && bytes.length < HEAD_BYTES_MAX;
    bytes = bytes.subarray(0, HEAD_BYTES_MAX);
  }
  const encoding: Encoding = wideEncodingOf(bytes) ??
    (isUtf8(bytes, isWhole) ? "utf-8" : "windows-1252");
  if (encoding !== "utf-8") before.push(() => transcodeStage(encoding));
  const text = new TextDecoder(encoding).decode(bytes);
  if (text.includes("\0")) return null;
  const lines = text.split("\n").map((line) => line.endsWith("\r") ? line.slice(0, -1) : line);
  if (!isWhole && lines.length > 1) lines.pop();
  const found = findInText(lines, head, options);
  if (found === null) return null;
  const open = () => {
    const last = found.open();
    const stages = [...before.map((make) => make()), last.stage];
    return { stage: joinStages(stages), writer: last.writer };
  };
  const evidence = encoding === "utf-8"
    ? "its beginning decodes"
    : encoding === "windows-1252"
    ? "its beginning is no UTF-8"
    : "its byte order mark, or the zeros between its characters";
  return { ...found, decided: { ...found.decided, encoding: decide(encoding, evidence) }, open };
}

const HEAD_BYTES_MAX = 1 << 20;

type FoundText = Omit<Found, "open"> & { readonly open: () => Opened };

function findInText(
  lines: readonly string[],
  head: Head,
  options: FormatOptions,
): FoundText | null {
  const { meterId, profile, forced } = options;
  const isFree = profile === undefined && forced === undefined;
  const nem = isFree ? nemOf(lines) : forced === "nem12" || forced === "nem13" ? forced : null;
  if (nem !== null) {
    const evidence = `its records: ${lines.find((line) => line.trim() !== "")?.slice(0, 30)}`;
    return exchange(nem, evidence, {
      timezone: MARKET_ZONE,
      unit: "each stream's own, kWh here",
      open: () => nemStage(meterId),
    });
  }
  if (forced === "green-button" || isFree && isGreenButton(lines.join("\n"))) {
    return exchange("green-button", "the namespace naesb.org/espi", {
      timezone: null,
      unit: "each reading type's own, kWh here",
      open: () => greenButtonStage({ meterId, fileName: head.name }),
    });
  }
  return findProfile(lines, head, options);
}

/** A format that says all of itself. */
function exchange(
  format: string,
  evidence: string,
  { timezone, unit, open }: {
    readonly timezone: string | null;
    readonly unit: string;
    readonly open: () => Opened;
  },
): FoundText {
  const given = (value: string | null) => decide(value, `format ${format}`);
  return {
    format,
    isUnverified: false,
    labelMs: 0,
    timezone,
    hasChannels: true,
    decided: {
      format: decide(format, evidence),
      encoding: decide("utf-8", ""),
      delimiter: given(null),
      decimal: given("point"),
      date_order: given("ymd"),
      label: given("start"),
      unit: given(unit),
      timezone: given(timezone ?? "UTC"),
      channels: given("as the file names them"),
    },
    open,
  };
}

function findProfile(
  lines: readonly string[],
  head: Head,
  options: FormatOptions,
): FoundText | null {
  const profiles = options.profile === undefined ? PROFILES : [options.profile];
  const table = findTable(lines, profiles, options);
  if (table === null) return null;
  const rows = lines.slice(table.headerLine).filter((line) => line.trim() !== "")
    .flatMap((line) => {
      const cells = splitCells(line, table.delimiter);
      return cells === null ? [] : [cells];
    });
  const decision = decideTable(table, rows, { ...options, fileName: head.name });
  if ("option" in decision) {
    throw new ReadError(
      `Cannot read "${head.file}": ${decision.reason}`,
      `say it: ${decision.option} …`,
    );
  }
  const { reading, evidence } = decision;
  const { profile } = table;
  const hasChannels = table.channel >= 0 || profile.wide === "channel";
  const timezone = profile.timezone ?? null;
  return {
    format: profile.name,
    isUnverified: profile.isUnverified === true,
    labelMs: reading.labelMs,
    timezone,
    hasChannels,
    decided: {
      format: decide(
        profile.name,
        `line ${table.headerLine}: ${table.names.slice(0, 6).join(", ")}${
          profile.isUnverified ? "; unverified: no real sample was at hand" : ""
        }`,
      ),
      encoding: decide("utf-8", ""),
      delimiter: decide(
        table.delimiter,
        `it makes ${table.names.length} columns of line ${table.headerLine}`,
      ),
      decimal: decide(reading.decimal, evidence.decimal),
      date_order: decide(reading.dateOrder, evidence.dateOrder),
      label: decide(reading.labelMs === 0 ? "start" : "end", evidence.label),
      unit: decide(reading.unit, evidence.unit),
      timezone: decide(timezone, timezone === null ? "not said" : `profile ${profile.name}`),
      channels: channelsOf(table),
    },
    open: () => tableStage(table, reading),
  };
}

function channelsOf({ channel, names, profile, values }: Table) {
  if (channel >= 0) return decide("in rows", `column ${names[channel]}`);
  if (profile.wide !== "channel") return decide(null, "no channel column");
  return decide(values.map((column) => names[column]).join(", "), "the columns' names");
}
