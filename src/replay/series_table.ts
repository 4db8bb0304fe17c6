import { HASH_PRIME, HASH_SEED, mixHash } from "../core/hash.ts";
import { isMeterId, meterIdOfCell, trimMeterId } from "../core/meter_id.ts";
import { CHANNEL_MARK } from "../formats/row_writer.ts";
import { grown } from "../core/timers.ts";

/** So many series are told apart: of those beyond, nothing is known from the whole. */
const SERIES_MAX = 1 << 21;
/** No series: the cell names no meter. */
export const NO_SERIES = -1;
/** A meter, and one too many. */
export const UNKNOWN_SERIES = -2;

/**
 * The series of all files, each an index, found by the bytes of its id. Series that follow each
 * other once mostly do so again, row after row or hour after hour: that is tried before the hash.
 */
export type SeriesTable = {
  count: number;
  /** All ids one after another, as UTF-8; that of series i ends at `ends[i]`. */
  ids: Uint8Array;
  ends: Float64Array;
  /** The id is printable ASCII without quote and backslash: JSON as it stands. */
  isPlain: Uint8Array;
  hashes: Int32Array;
  buckets: Int32Array;
  /** The series that came after this one last time. */
  followers: Int32Array;
  last: number;
  /** Whether cells may have a channel behind the meter, and a mark between. */
  marksChannels: boolean;
  /** Of series with a channel, how they are named. */
  readonly names: Map<number, SeriesName>;
  /** These series. */
  readonly marked: number[];
};

/** A series' meter, and its channel where the meter has several. */
export type SeriesName = { readonly meterId: string; readonly channel: string | null };

/** A table without series. */
export function newSeriesTable(capacity = 256): SeriesTable {
  return {
    count: 0,
    ids: new Uint8Array(capacity * 16),
    ends: new Float64Array(capacity),
    isPlain: new Uint8Array(capacity),
    hashes: new Int32Array(capacity),
    buckets: new Int32Array(capacity * 2).fill(NO_SERIES),
    followers: new Int32Array(capacity),
    last: 0,
    marksChannels: false,
    names: new Map(),
    marked: [],
  };
}

/** Where the id of a series begins. */
export function idStart(table: SeriesTable, series: number): number {
  return series === 0 ? 0 : table.ends[series - 1];
}

/** The id of a series, as text: its meter's; of one of several channels `meter/channel`. */
export function seriesId(table: SeriesTable, series: number): string {
  const { meterId, channel } = seriesName(table, series);
  return channel === null ? meterId : `${meterId}/${channel}`;
}

/** The meter and the channel of a series. */
export function seriesName(table: SeriesTable, series: number): SeriesName {
  return table.names.get(series) ?? { meterId: markedId(table, series), channel: null };
}

function markedId(table: SeriesTable, series: number): string {
  return decoder.decode(table.ids.subarray(idStart(table, series), table.ends[series]));
}

/** Names the series of which a channel is known, when all have come: one of a meter needs none. */
export function nameChannels(table: SeriesTable): void {
  const found = table.marked.map((series) => {
    const [meterId, channel] = markedId(table, series).split(CHANNEL_MARK);
    return { series, meterId, channel };
  });
  table.marksChannels = found.length > 0;
  for (const [meterId, series] of Map.groupBy(found, (one) => one.meterId)) {
    const isOne = series.length === 1;
    for (const one of series) {
      table.names.set(one.series, { meterId, channel: isOne ? null : one.channel });
    }
  }
}

/**
 * The series that the cell `bytes[start..end)` names. `adds`: one that is not known yet is added.
 * `NO_SERIES`: it can name no meter; `UNKNOWN_SERIES`: a meter that is not known.
 */
export function seriesOfCell(
  table: SeriesTable,
  bytes: Uint8Array,
  start: number,
  end: number,
  adds: boolean,
): number {
  const { last, followers } = table;
  if (table.count > 0) {
    if (isId(table, last, bytes, start, end)) return last;
    const next = followers[last];
    if (isId(table, next, bytes, start, end)) return table.last = next;
  }
  let found = findId(table, bytes, start, end);
  if (found === NO_SERIES) {
    const id = idOfCell(decoder.decode(bytes.subarray(start, end)), table.marksChannels);
    if (id === null) return NO_SERIES;
    found = findId(table, id, 0, id.length);
    if (found === NO_SERIES && adds && table.count < SERIES_MAX) {
      found = addId(table, id);
      if (table.marksChannels && id.includes(MARK_BYTE)) table.marked.push(found);
    }
    if (found === NO_SERIES) return UNKNOWN_SERIES;
  }
  followers[last] = found;
  return table.last = found;
}

/** The id that a cell names, as bytes; null: it can name no meter. */
function idOfCell(text: string, marksChannels: boolean): Uint8Array | null {
  const at = marksChannels ? text.indexOf(CHANNEL_MARK) : -1;
  if (at < 0) {
    const id = meterIdOfCell(text);
    return isMeterId(id) ? encoder.encode(id) : null;
  }
  const meter = meterIdOfCell(text.slice(0, at));
  const channel = trimMeterId(text.slice(at + 1));
  if (!isMeterId(meter) || channel !== "" && !isMeterId(channel)) return null;
  return encoder.encode(channel === "" ? meter : meter + CHANNEL_MARK + channel);
}

const MARK_BYTE = CHANNEL_MARK.charCodeAt(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function isId(
  table: SeriesTable,
  series: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const { ids, ends } = table;
  const from = series === 0 ? 0 : ends[series - 1];
  const length = end - start;
  if (ends[series] - from !== length) return false;
  // Ids of a fleet begin alike and end apart.
  for (let p = length - 1; p >= 0; p--) if (ids[from + p] !== bytes[start + p]) return false;
  return true;
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = HASH_SEED;
  for (let p = start; p < end; p++) hash = Math.imul(hash ^ bytes[p], HASH_PRIME);
  return mixHash(hash);
}

function findId(table: SeriesTable, bytes: Uint8Array, start: number, end: number): number {
  const { buckets, hashes } = table;
  const hash = hashOf(bytes, start, end);
  const mask = buckets.length - 1;
  for (let b = hash & mask;; b = (b + 1) & mask) {
    const series = buckets[b];
    if (series < 0) return NO_SERIES;
    if (hashes[series] === hash && isId(table, series, bytes, start, end)) return series;
  }
}

function addId(table: SeriesTable, id: Uint8Array): number {
  const series = table.count;
  if (series === table.hashes.length) growTable(table);
  const start = idStart(table, series);
  if (start + id.length > table.ids.length) {
    table.ids = grown(table.ids, Math.max(table.ids.length * 2, start + id.length));
  }
  table.ids.set(id, start);
  table.ends[series] = start + id.length;
  table.isPlain[series] = isPlainJson(id) ? 1 : 0;
  table.hashes[series] = hashOf(id, 0, id.length);
  table.count++;
  putInBucket(table, series);
  return series;
}

function growTable(table: SeriesTable): void {
  const capacity = table.hashes.length * 2;
  table.ends = grown(table.ends, capacity);
  table.isPlain = grown(table.isPlain, capacity);
  table.hashes = grown(table.hashes, capacity);
  table.followers = grown(table.followers, capacity);
  table.buckets = new Int32Array(capacity * 2).fill(NO_SERIES);
  for (let series = 0; series < table.count; series++) putInBucket(table, series);
}

function putInBucket({ buckets, hashes }: SeriesTable, series: number): void {
  const mask = buckets.length - 1;
  let b = hashes[series] & mask;
  while (buckets[b] >= 0) b = (b + 1) & mask;
  buckets[b] = series;
}

function isPlainJson(id: Uint8Array): boolean {
  return id.every((byte) => byte >= 0x20 && byte <= 0x7e && byte !== 0x22 && byte !== 0x5c);
}
