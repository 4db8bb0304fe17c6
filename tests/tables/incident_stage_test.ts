/** The second stage in the embedded store's commits: the same incidents however a log is cut. */
import assert from "node:assert/strict";
import { STORE_FILE } from "../../src/adapters/sqlite/store.ts";
import { openFile } from "../../src/adapters/sqlite/library.ts";
import { encodeTick } from "../../src/core/wire/raw_record.ts";
import { createRandom, type Random, randomInteger } from "../../src/generate/random.ts";
import { Task } from "../../src/engine/task.ts";
import { partitionOf } from "../../src/replay/partitioner.ts";
import { SessionStore } from "../adapters/sqlite/fleet.ts";
import { coreOptions, rawOf } from "../simulation/fold.ts";
import { PLAIN_SETTINGS } from "../simulation/settings.ts";
import { findIncidents, type MeterGaps } from "../specification/validation/incidents.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.UTC(2024, 0, 1);
const METERS = 120;
const SLOTS = 45 * 24;
const TTL_MS = 3 * DAY_MS;
/** Readings of these slots come forty minutes late, of as many meters. */
const LATE_SLOTS = [500, 900];
const LATE_METERS = 12;

type Sent = { readonly atMs: number; readonly meter: number; readonly slotMs: number };

/** What 120 meters send in 45 days: single losses, shared outages, dead meters, slots that come late. */
function readingsOf(random: Random): Sent[] {
  const outages = Array.from({ length: 10 }, () => ({
    slot: randomInteger(random, 20, SLOTS - 20),
    slots: randomInteger(random, 1, 9),
    first: randomInteger(random, 0, METERS - 1),
    meters: randomInteger(random, 3, 40),
  }));
  const deadFrom = new Map([[3, 200], [4, 200], [5, 640]]);
  const sent: Sent[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    for (let meter = 0; meter < METERS; meter++) {
      const begins = meter < 20 ? 0 : (meter * 7) % 90;
      if (slot < begins || slot >= (deadFrom.get(meter) ?? Infinity) || random() < 0.001) continue;
      const isOut = outages.some((outage) =>
        slot >= outage.slot && slot < outage.slot + outage.slots + meter % 3 &&
        (meter - outage.first + METERS) % METERS < outage.meters
      );
      if (isOut) continue;
      const isLate = LATE_SLOTS.includes(slot) && meter >= 10 && meter < 10 + LATE_METERS;
      const slotMs = START_MS + slot * HOUR_MS;
      sent.push({ atMs: slotMs + (isLate ? 40 * 60_000 : meter * 100), meter, slotMs });
    }
  }
  return sent.sort((a, b) => a.atMs - b.atMs);
}

const idOf = (meter: number) => `M${meter}`;
const encoder = new TextEncoder();

/** The logs of so many partitions, with a tick every ten minutes. */
function logsOf(sent: readonly Sent[], partitions: number): Uint8Array[][] {
  const logs: Uint8Array[][] = Array.from({ length: partitions }, () => []);
  let tickMs = START_MS;
  const tickTo = (ms: number) => {
    for (; tickMs <= ms; tickMs += 600_000) {
      for (const log of logs) log.push(encodeTick(tickMs, false));
    }
  };
  for (const { atMs, meter, slotMs } of sent) {
    tickTo(atMs);
    const id = idOf(meter);
    const timestamp = new Date(slotMs).toISOString();
    const text = JSON.stringify({ meter_id: id, timestamp, consumption_kwh: 0.1 });
    logs[partitionOf(encoder.encode(id), partitions)].push(encoder.encode(text));
  }
  tickTo(START_MS + SLOTS * HOUR_MS + DAY_MS);
  return logs;
}

type Cut = { readonly partitions: number; readonly seed: number; readonly recordsMax: number };

/** Plays logs in commits of random sizes, the partitions in random turns; what incidents there are. */
async function play(folder: string, sent: readonly Sent[], cut: Cut) {
  const { partitions, seed, recordsMax } = cut;
  const path = `${folder}/${partitions}-${seed}-${STORE_FILE}`;
  const random = createRandom(seed);
  const logs = logsOf(sent, partitions);
  const settings = {
    ...{ ...PLAIN_SETTINGS, expectedIntervalMs: HOUR_MS, intervalMsByMeter: new Map() },
    ...{ forgetAfterMs: 400 * DAY_MS },
    ...{ stateTtlMs: TTL_MS, allowedLatenessMs: HOUR_MS, gapGraceMs: 900_000, metersMax: 1000 },
    ...{ watermarkScope: "partition", outOfOrdernessMs: 0, learningReadings: 48 } as const,
  };
  const store = new SessionStore(path);
  const tasks: Task[] = [];
  for (let p = 0; p < partitions; p++) tasks.push(await Task.open(coreOptions(settings, p), store));
  for (;;) {
    const open = tasks.filter((task) => task.nextOffset < logs[task.partition].length);
    if (open.length === 0) break;
    const task = open[randomInteger(random, 0, open.length - 1)];
    const log = logs[task.partition];
    const end = Math.min(log.length, task.nextOffset + randomInteger(random, 1, recordsMax));
    while (task.nextOffset < end) task.fold(rawOf(log[task.nextOffset], task.nextOffset));
    await store.commit(task.takeCommit()!);
  }
  store.session.close();
  const database = openFile(path, { readOnly: true, busyMs: 0 });
  try {
    const all = (sql: string) => database.prepare(sql).all();
    return {
      incidents: all("SELECT * FROM incidents ORDER BY incident_id"),
      members: all("SELECT incident_id, meter_id, gap_id FROM incident_meters ORDER BY 1, 2, 3"),
      gaps: all("SELECT gap_id, incident_id FROM gap_status ORDER BY 1"),
      together: all("SELECT * FROM meters_failing_together ORDER BY 1, 2"),
      starts: all("SELECT meter_id, slot_ms FROM gap_starts WHERE is_missing = 1 ORDER BY 2"),
    };
  } finally {
    database.close();
  }
}

/** The fleet as the specification wants it: when meters were read, and where their gaps start. */
function fleetOf(sent: readonly Sent[], starts: readonly Record<string, unknown>[]): MeterGaps[] {
  return Array.from({ length: METERS }, (_, meter) => {
    const slots = sent.filter((each) => each.meter === meter).map(({ slotMs }) => slotMs);
    const lastMs = Math.max(...slots);
    const isDead = lastMs < START_MS + (SLOTS - 20) * HOUR_MS;
    return {
      meterId: idOf(meter),
      fromMs: Math.min(...slots),
      silentMs: isDead ? lastMs + TTL_MS : null,
      starts: starts.filter((row) => row.meter_id === idOf(meter)).map((row) =>
        Number(row.slot_ms)
      ),
    };
  });
}

const CUTS: readonly Cut[] = [
  { partitions: 1, seed: 1, recordsMax: 1_000_000 },
  { partitions: 1, seed: 2, recordsMax: 300 },
  { partitions: 2, seed: 3, recordsMax: 4000 },
  { partitions: 4, seed: 4, recordsMax: 9000 },
  { partitions: 7, seed: 5, recordsMax: 1500 },
];

for (const seed of [1, 2, 3]) {
  Deno.test(`incidents are what the specification says, whatever the partitions and commits, seed ${seed}`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "gridwatch-incidents-" });
    try {
      const sent = readingsOf(createRandom(seed));
      const first = await play(folder, sent, CUTS[0]);
      const specified = findIncidents(fleetOf(sent, first.starts), HOUR_MS);
      assert.ok(specified.length >= 4, `${specified.length}: too few to tell`);
      const standing = first.incidents.filter(({ state }) => state !== "WITHDRAWN");
      assert.deepEqual(
        standing.map((row) => [row.incident_id, row.meters, row.expected, row.needed]),
        specified.map((one) => [one.incidentId, one.meters.length, one.expected, one.needed]),
      );
      for (const { incidentId, meters } of specified) {
        const members = first.members.filter((row) => row.incident_id === incidentId);
        assert.deepEqual(members.map((row) => row.meter_id).sort(), [...meters].sort());
      }
      const inIncident = first.gaps.filter((row) => row.incident_id !== null);
      assert.equal(inIncident.length, first.members.length);
      // All has stopped at the end, and nothing has come since.
      const end = standing.pop();
      assert.deepEqual([end?.state, end?.to, end?.slot_ms], [
        ...["OPEN", null],
        START_MS + SLOTS * HOUR_MS,
      ]);
      assert.ok(standing.every(({ state, to }) => state === "CLOSED" && to !== null));
      const withdrawn = first.incidents.filter(({ state }) => state === "WITHDRAWN");
      assert.ok(withdrawn.length > 0, "late readings withdrew nothing");
      assert.ok(first.together.length > 0);
      for (const cut of CUTS.slice(1)) {
        const { starts, ...again } = await play(folder, sent, cut);
        const { starts: _, ...expected } = first;
        assert.equal(starts.length, first.starts.length);
        assert.deepEqual(again, expected, JSON.stringify(cut));
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
