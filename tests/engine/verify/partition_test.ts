import assert from "node:assert/strict";
import { decodeTask, encodeTask } from "../../../src/core/codec.ts";
import {
  filledFleet,
  type Fleet,
  GROUP,
  isDone,
  startProcess,
  TOPICS,
  untilTrue,
  verifyFleet,
} from "../log/log_fleet.ts";
import { type Entry, textOf } from "../log/memory_log.ts";

const encoder = new TextEncoder();

/** A fleet whose records are all judged. */
async function judgedFleet(): Promise<Fleet> {
  const fleet = filledFleet({ seed: 12, partitions: 1, records: 300 });
  const process = startProcess(fleet);
  await untilTrue("all is judged", () => isDone(fleet));
  process.stop();
  await process.done;
  return fleet;
}

function ref(topic: string) {
  return { topic, partition: 0 };
}

/** Puts a committed record behind record `n` of a topic, as if it had been there always. */
function insertAfter({ log }: Fleet, topic: string, n: number, record: Partial<Entry>): void {
  const found = log.committed(ref(topic), 0).entries[n];
  const { entries } = log.partition(ref(topic));
  entries.splice(entries.indexOf(found) + 1, 0, {
    ...found,
    ...{ key: null, value: null, origin: null, transaction: null, offset: found.offset + 0.5 },
    ...record,
  });
}

function change(fleet: Fleet, topic: string, n: number, to: (entry: Entry) => Entry | null): Entry {
  const found = fleet.log.committed(ref(topic), 0).entries.at(n)!;
  fleet.log.tamper(ref(topic), (entry) => entry === found ? to(entry) : entry);
  return found;
}

async function differences(fleet: Fleet) {
  const [{ differences }] = await verifyFleet(fleet);
  return differences;
}

const OUTPUTS = [TOPICS.validated, TOPICS.gapAlerts, TOPICS.lateEvents, TOPICS.rejected];

Deno.test("verifyPartition() of an undisturbed run finds nothing", async () => {
  const fleet = await judgedFleet();
  const [{ differences, ledger, rawRecords, meterIds }] = await verifyFleet(fleet);
  assert.deepEqual(differences, []);
  assert.equal(ledger?.raw, rawRecords);
  assert.ok(rawRecords > 100 && meterIds.size > 1);
  for (const topic of OUTPUTS) {
    assert.ok(fleet.log.committed(ref(topic), 0).entries.length > 0, `${topic} is empty`);
  }
});

Deno.test("verifyPartition() refuses other settings than those it was judged by, by name", async () => {
  const fleet = await judgedFleet();
  const { values } = fleet.judging;
  fleet.judging = { hash: "1", values: { ...values, grace_period_seconds: "60" } };
  await assert.rejects(verifyFleet(fleet), {
    name: "LogRefusedError",
    message: "Cannot verify partition 0 with grace_period_seconds=60: it was judged with 900",
    hint: "set grace_period_seconds to 900, as the processors have it",
  });
  fleet.judging = { hash: "2", values: { ...values, new_setting: "1" } };
  const [{ differences }] = await verifyFleet(fleet);
  assert.deepEqual(differences, []);
});

Deno.test("verifyPartition() gives the account of any raw record on the way", async () => {
  const fleet = await judgedFleet();
  const [{ ledger, account: none }] = await verifyFleet(fleet);
  assert.equal(none, null);
  const raw = fleet.log.committed(ref(TOPICS.raw), 0).entries;
  const end = raw.at(-1)!.offset + 1;
  const gapsAt: number[] = [];
  for (let at = 0; at <= end; at += Math.max(1, Math.min(37, end - at))) {
    const [{ account }] = await verifyFleet(fleet, at);
    assert.ok(account !== null, `at ${at}`);
    assert.equal(account.ledger.raw, raw.filter(({ offset }) => offset < at).length);
    gapsAt.push(Object.values(account.gaps).reduce((sum, gaps) => sum + gaps));
    if (at === end) assert.deepEqual(account.ledger, ledger);
  }
  const ids = fleet.log.committed(ref(TOPICS.gapAlerts), 0).entries.map(({ value }) =>
    JSON.parse(textOf(value)).gap_id
  );
  assert.deepEqual([gapsAt[0], gapsAt.at(-1)], [0, new Set(ids).size]);
  assert.ok(new Set(gapsAt).size > 2, "the gaps all came at once");
  const [{ account: beyond }] = await verifyFleet(fleet, end + 100);
  assert.equal(beyond, null);
});

for (const topic of OUTPUTS) {
  Deno.test(`verifyPartition() names the record of ${topic} that is written twice`, async () => {
    const fleet = await judgedFleet();
    const twice = fleet.log.committed(ref(topic), 0).entries[0];
    insertAfter(fleet, topic, 0, { value: twice.value, origin: twice.origin });
    const [first, ...others] = await differences(fleet);
    assert.deepEqual(first, {
      ...{ partition: 0, topic, inputOffset: twice.origin!.offset, problem: "extra" },
      ...{ expected: null, found: textOf(twice.value).slice(0, 300) },
    });
    assert.deepEqual(others, []);
  });

  Deno.test(`verifyPartition() names the record of ${topic} that is left out`, async () => {
    for (const n of [0, -1]) {
      const fleet = await judgedFleet();
      const gone = change(fleet, topic, n, () => null);
      const [first, ...others] = await differences(fleet);
      assert.deepEqual(first, {
        ...{ partition: 0, topic, inputOffset: gone.origin!.offset, problem: "missing" },
        ...{ expected: textOf(gone.value).slice(0, 300), found: null },
      });
      assert.deepEqual(others, []);
    }
  });

  Deno.test(`verifyPartition() names the record of ${topic} whose value is changed`, async () => {
    const fleet = await judgedFleet();
    const value = (entry: Entry) => textOf(entry.value).replace("20", "21");
    const changed = change(fleet, topic, -1, (entry) => ({
      ...entry,
      value: encoder.encode(value(entry)),
    }));
    const [first, ...others] = await differences(fleet);
    assert.deepEqual(first, {
      ...{ partition: 0, topic, inputOffset: changed.origin!.offset, problem: "different" },
      ...{ expected: textOf(changed.value).slice(0, 300), found: value(changed).slice(0, 300) },
    });
    assert.deepEqual(others, []);
  });

  Deno.test(`verifyPartition() names a record of ${topic} that no input says`, async () => {
    const origins = [null, { partition: 7, offset: 3, index: 0 }];
    for (const [n, origin] of origins.entries()) {
      const fleet = await judgedFleet();
      const { entries } = fleet.log.committed(ref(topic), 0);
      const place = n === 0 ? 0 : entries.length - 1;
      insertAfter(fleet, topic, place, { value: encoder.encode("hello"), origin });
      assert.deepEqual(await differences(fleet), [{
        ...{ partition: 0, topic, inputOffset: null, problem: "extra" },
        ...{ expected: null, found: "hello" },
      }]);
    }
  });
}

Deno.test("verifyPartition() says which figure of the ledger was altered", async () => {
  const fleet = await judgedFleet();
  const { entries } = fleet.log.committed(ref(TOPICS.changelog), 0);
  const last = entries.findLast(({ key }) => textOf(key) === "task")!;
  const task = decodeTask(last.value!);
  task.ledger.ok--;
  fleet.log.tamper(
    ref(TOPICS.changelog),
    (entry) =>
      entry === last ? { ...entry, value: encodeTask({ state: task, watermarkMs: null }) } : entry,
  );
  assert.deepEqual(await differences(fleet), [{
    ...{ partition: 0, topic: TOPICS.raw, inputOffset: null, problem: "ledger" },
    ...{ expected: `ok: ${task.ledger.ok + 1}`, found: `ok: ${task.ledger.ok}` },
  }]);
});

Deno.test("verifyPartition() says which metric is counted twice, or is none", async () => {
  const fleet = await judgedFleet();
  const { entries } = fleet.log.committed(ref(TOPICS.metrics), 0);
  const n = entries.findIndex(({ value }) => textOf(value).includes('"status":"OK"'));
  insertAfter(fleet, TOPICS.metrics, n, { value: entries[n].value, origin: entries[n].origin });
  insertAfter(fleet, TOPICS.metrics, n, { value: encoder.encode("not json") });
  insertAfter(fleet, TOPICS.metrics, n, { value: encoder.encode("null") });
  const found = await differences(fleet);
  assert.deepEqual(found.map(({ problem }) => problem), ["extra", "extra", "different"]);
  assert.match(found[2].expected!, /^event_processed \{"status":"OK"\}: \d+$/);
});

Deno.test("verifyPartition() keeps the first differences and counts the rest", async () => {
  const fleet = await judgedFleet();
  const count = fleet.log.committed(ref(TOPICS.validated), 0).entries.length;
  fleet.log.tamper(ref(TOPICS.validated), () => null);
  const [{ differences, moreDifferences }] = await verifyFleet(fleet);
  assert.equal(differences.length, 20);
  assert.equal(differences.length + moreDifferences, count);
});

Deno.test("verifyPartition() finds nothing at any moment of a run, or of its restart", async () => {
  const fleet = filledFleet({ seed: 13, partitions: 2, records: 300 });
  let process = startProcess(fleet);
  for (let checks = 0; !isDone(fleet) || checks < 5; checks++) {
    for (const { differences } of await verifyFleet(fleet)) assert.deepEqual(differences, []);
    const { steps } = process.client;
    await untilTrue("it moves on", () => process.client.steps > steps + 2);
    if (checks % 4 === 3) {
      process.client.die();
      await fleet.group.expire(process.client);
      process = startProcess(fleet);
    }
    assert.ok(checks < 500);
  }
  process.stop();
  await process.done;
});

Deno.test("verifyPartition() waits for a commit that only some topics know of", async () => {
  const fleet = filledFleet({ seed: 14, partitions: 1, records: 200 });
  fleet.log.marksAtOnce = false;
  const process = startProcess(fleet);
  // The changelog's marker comes first: the outputs of that commit cannot be read yet.
  const has = () => fleet.log.committed(ref(TOPICS.changelog), 0).entries.length > 0;
  await untilTrue("a commit is half marked", () => {
    fleet.log.writeMarkers([TOPICS.changelog]);
    return has();
  });
  assert.equal(fleet.log.committed(ref(TOPICS.validated), 0).entries.length, 0);
  let result: Awaited<ReturnType<typeof verifyFleet>> | null = null;
  verifyFleet(fleet).then((found) => result = found);
  process.client.die();
  let checks = 0;
  await untilTrue("it has verified", () => {
    if (++checks === 5) fleet.log.takeOver(`${GROUP}-0`); // ends what is open, marks what ended
    return result !== null;
  });
  assert.ok(checks >= 5, "it did not wait");
  assert.deepEqual(result![0].differences, []);
  assert.ok(result![0].rawRecords > 0);
});

Deno.test("verifyPartition() says what of the log is deleted, which is no difference", async () => {
  const fleet = await judgedFleet();
  fleet.log.deleteBefore(ref(TOPICS.raw), 20);
  const { deletedBefore, rawRecords, ledger, account } = (await verifyFleet(fleet))[0];
  assert.deepEqual([deletedBefore, rawRecords, account], [20, 0, null]);
  assert.ok(ledger !== null && ledger.raw > 20, "what its owner has committed");
  assert.deepEqual(await differences(fleet), []);
});
