import { offsetsOf, type Zone } from "../core/zone.ts";
import { formatTimestamp } from "../core/time.ts";

/** A row of the table `zone_offsets`, by which local days are told from those of UTC. */
export type ZoneOffset = {
  readonly starts_at: string;
  readonly offset_seconds: number;
  readonly zone: string;
};

/** Before all data: the zone's first offset holds from here on. */
const FIRST = "0001-01-01T00:00:00Z";

/** A zone as rows, the earliest first. */
export function zoneRows(zone: Zone): ZoneOffset[] {
  return offsetsOf(zone).map(({ fromMs, offsetMs }) => ({
    starts_at: Number.isFinite(fromMs) ? formatTimestamp(fromMs) : FIRST,
    offset_seconds: offsetMs / 1000,
    zone: zone.name,
  }));
}
