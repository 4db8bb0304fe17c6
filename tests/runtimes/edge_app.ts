import type { LiveStatus } from "../../src/api/ports.ts";

/** What both sides of a comparison are told: nothing in it depends on when it is asked. */
export const EDGE = {
  nowMs: Date.UTC(2026, 0, 1),
  version: "1.2.3",
  live: {
    state: "finished",
    source: "replay",
    message: null,
    inputs: "a store that run has filled",
    rowsRead: 0,
    rowsTotal: null,
    readingsPerSecond: 0,
    eventTimeMs: null,
    startedAtMs: Date.UTC(2026, 0, 1),
    lastProgressAtMs: Date.UTC(2026, 0, 1),
    openGaps: null,
    problems: [],
  } satisfies LiveStatus as LiveStatus,
};
