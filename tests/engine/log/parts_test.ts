import assert from "node:assert/strict";
import {
  appendRaw,
  committedTask,
  emptyFleet,
  type Fleet,
  isDone,
  startProcess,
  TOPICS,
  untilTrue,
  verifyFleet,
} from "./log_fleet.ts";

const METERS = 60;
const BEGAN_MS = Date.UTC(2024, 0, 1);

/** A fleet that reports once, and then falls silent in one tick. */
function silentFleet(): Fleet {
  const fleet = emptyFleet(1, { expectedIntervalMs: 1_800_000, metersMax: METERS });
  const timestamp = new Date(BEGAN_MS).toISOString();
  appendRaw(
    fleet,
    0,
    Array.from({ length: METERS }, (_, m) => ({
      timeMs: BEGAN_MS,
      text: `{"meter_id":"M${m}","timestamp":"${timestamp}","consumption_kwh":1}`,
    })),
  );
  const tick = new Date(BEGAN_MS + 4 * 3_600_000).toISOString();
  appendRaw(fleet, 0, [{ timeMs: BEGAN_MS, text: `{"type":"tick","timestamp":"${tick}"}` }]);
  return fleet;
}

function gapsIn({ log }: Fleet): string[] {
  return log.committed({ topic: TOPICS.gapAlerts, partition: 0 }, 0).entries.map(({ origin }) =>
    `${origin?.offset}/${origin?.index}`
  );
}

Deno.test("run() judges a fleet that falls silent in several commits, also when it is killed between", async () => {
  const fleet = silentFleet();
  const first = startProcess(fleet);
  await untilTrue("a part of the tick is committed", () => gapsIn(fleet).length > 0);
  assert.ok(gapsIn(fleet).length < METERS, "all gaps in one commit");
  const { ledger } = committedTask(fleet, 0)!;
  assert.equal(ledger.tick, 0, "the tick counts with its last part");
  first.client.die();
  await fleet.group.expire(first.client);
  const second = startProcess(fleet);
  await untilTrue("all is judged", () => isDone(fleet));
  second.stop();
  await second.done;
  const gaps = gapsIn(fleet);
  assert.equal(gaps.length, METERS);
  assert.ok(gaps.every((origin, n) => origin === `${gaps[0].split("/")[0]}/${n}`), "their places");
  assert.equal(committedTask(fleet, 0)!.ledger.tick, 1);
  const [{ differences }] = await verifyFleet(fleet);
  assert.deepEqual(differences, []);
});
