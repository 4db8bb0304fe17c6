import type { WarningAnswer } from "./answer.ts";
import type { AuditedSeries } from "./audit.ts";
import type { AuditSum } from "./sum.ts";

/** From this share of a series' readings on, conflicts are no accident. */
const TWO_CHANNELS_SHARE = 0.3;
/** As a spreadsheet writes a long number that it was not told is text. */
const DAMAGED_ID = /^[+-]?\d([.,]\d+)?E\+\d+$/i;
const METERS_MAX = 100;
const SHOWN_MAX = 3;

/** What the readings, as they were judged, make one suspect. */
export function suspicionsOf({ series }: AuditSum): WarningAnswer[] {
  return [twoChannels(series), damagedIds(series)].filter((warning) => warning !== null);
}

function twoChannels(all: readonly AuditedSeries[]): WarningAnswer | null {
  const found = all.filter(({ walk, usable }) =>
    walk !== null && walk.conflicting > usable * TWO_CHANNELS_SHARE
  );
  return found.length === 0 ? null : {
    code: "two_channels",
    text: `two channels under one id? ${listed(found)} ${
      found.length === 1 ? "has" : "have"
    } two values for very many intervals: --channel-column NAME tells them apart`,
    meters: idsOf(found),
  };
}

function damagedIds(all: readonly AuditedSeries[]): WarningAnswer | null {
  const found = all.filter(({ meterId }) => DAMAGED_ID.test(meterId));
  return found.length === 0 ? null : {
    code: "damaged_ids",
    text: `${listed(found)}: a spreadsheet has cut the digits of ${
      found.length === 1 ? "this id" : "these ids"
    }; different meters may have become one`,
    meters: idsOf(found),
  };
}

const idsOf = (found: readonly AuditedSeries[]) =>
  found.slice(0, METERS_MAX).map(({ meterId }) => meterId);

function listed(found: readonly AuditedSeries[]): string {
  const ids = idsOf(found).slice(0, SHOWN_MAX).join(", ");
  return found.length > SHOWN_MAX ? `${ids} and ${found.length - SHOWN_MAX} more` : ids;
}
