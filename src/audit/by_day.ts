import { dateOf, DAY_MS, MONTH } from "../core/calendar.ts";
import type { Zone } from "../core/zone.ts";
import type { AuditedSeries } from "./audit.ts";
import { incompleteDates } from "./days.ts";
import { dayText } from "./text.ts";

/** A row a day of all series' spans: its date; how many series it has, complete, partial, missing. */
export function byDay(series: readonly AuditedSeries[], zone: Zone): unknown[][] {
  const spans = new Map<number, number>();
  const partial = new Map<number, number>();
  const missing = new Map<number, number>();
  const add = (counts: Map<number, number>, day: number, by: number) =>
    counts.set(day, (counts.get(day) ?? 0) + by);
  for (const { walk } of series) {
    if (walk === null || walk.intervalMs === MONTH) continue;
    add(spans, dateOf(DAY_MS, walk.firstSlotMs, zone), 1);
    add(spans, dateOf(DAY_MS, walk.lastSlotMs, zone) + 1, -1);
    for (const [day, share] of incompleteDates(walk, DAY_MS, zone)) {
      add(share > 1 - 1e-9 ? missing : partial, day, 1);
    }
  }
  const edges = [...spans.keys()].sort((a, b) => a - b);
  const rows: unknown[][] = [];
  let open = 0;
  for (let day = edges[0]; day < edges[edges.length - 1]; day++) {
    open += spans.get(day) ?? 0;
    const cut = partial.get(day) ?? 0;
    const none = missing.get(day) ?? 0;
    rows.push([dayText(day), open, open - cut - none, cut, none]);
  }
  return rows;
}
