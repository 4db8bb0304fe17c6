import { formatTimestamp, parseTimestamp } from "../time.ts";
import { UTC_ZONE } from "../zone.ts";

/** What the registry says of a meter; null: it says nothing of that. */
export type Registration = {
  readonly meterId: string;
  /** The meter's register; empty where it has only one. */
  readonly channel: string;
  /** Of two versions the higher one holds. */
  readonly version: number;
  /** What it hangs on: meters of a group fail together. */
  readonly group: string | null;
  readonly intervalMinutes: number | null;
  readonly timezone: string | null;
  /** Slots are expected from here on, and up to `activeToMs`. */
  readonly activeFromMs: number | null;
  readonly activeToMs: number | null;
  /** Which way its energy is counted, see DIRECTION. */
  readonly direction: string | null;
  /** The most that it can measure, in kW. */
  readonly maxKw: number | null;
};

/** A version of a meter's registration as a raw record, in force from a time on. */
export function encodeRegistration(
  registration: Registration,
  timestampMs: number,
): Uint8Array<ArrayBuffer> {
  const timestamp = formatTimestamp(timestampMs);
  const fields = { type: "meter", timestamp, meter_id: registration.meterId };
  return new TextEncoder().encode(JSON.stringify({ ...fields, ...tagsOf(registration) }));
}

/** A registration without its meter, as texts by the names of the table's columns. */
export function tagsOf(registration: Omit<Registration, "meterId">): Record<string, string> {
  const { channel, version, group, intervalMinutes, timezone, activeFromMs, activeToMs } =
    registration;
  const { direction, maxKw } = registration;
  const said = {
    channel: channel === "" ? null : channel,
    version,
    group_id: group,
    interval_minutes: intervalMinutes,
    timezone,
    active_from: activeFromMs === null ? null : formatTimestamp(activeFromMs),
    active_to: activeToMs === null ? null : formatTimestamp(activeToMs),
    direction,
    max_kw: maxKw,
  };
  return Object.fromEntries(
    Object.entries(said).flatMap(([name, value]) => value === null ? [] : [[name, String(value)]]),
  );
}

const TEXT_LENGTH_MAX = 256;
/** What a direction can be. */
export const DIRECTION = /^(im|ex)port$/;

/** The same of a record's fields; null: one of them is not what it must be. */
export function readTags(fields: Readonly<Record<string, unknown>>): Record<string, string> | null {
  const tags: Record<string, string> = {};
  for (const [name, isUsable] of Object.entries(FIELDS)) {
    const value = fields[name];
    if (value === undefined || value === null) continue;
    const text = String(value);
    if (typeof value === "object" || text.length > TEXT_LENGTH_MAX || !isUsable(text)) return null;
    tags[name] = text;
  }
  return "version" in tags ? tags : null;
}

const isPositive = (text: string) => Number(text) > 0 && Number.isFinite(Number(text));
const isTime = (text: string) => !Number.isNaN(parseTimestamp(text, UTC_ZONE));
const isName = (text: string) => text !== "" && !text.includes("\0");

const FIELDS: Readonly<Record<string, (text: string) => boolean>> = {
  channel: isName,
  version: (text) => Number.isInteger(Number(text)) && Number(text) > 0 && Number(text) < 2 ** 31,
  group_id: isName,
  interval_minutes: isPositive,
  timezone: isName,
  active_from: isTime,
  active_to: isTime,
  direction: (text) => DIRECTION.test(text),
  max_kw: isPositive,
};
