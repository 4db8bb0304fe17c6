/**
 * `latency_probe.ts BROKERS CSV RATE SECONDS`: sends readings at a rate into the raw topic of the
 * environment's names and reads the validated topic; prints the percentiles of the time from a
 * reading's hand-over to the producer to its validated record being visible to committed readers.
 */
import { committedReader, openKafka, withBrokers, writerOptions } from "../../src/setup/kafka.ts";
import { loadConfig } from "../../src/console/shell.ts";

const [brokers, , rateText, secondsText] = Deno.args;
const rate = Number(rateText);
const seconds = Number(secondsText);
const BATCH_MS = 20;
const METERS = 10_000;
const encoder = new TextEncoder();

const setup = await openKafka(withBrokers(await loadConfig(undefined), brokers));
const producer = setup.log.producer(writerOptions(setup.config));
const reader = committedReader(setup, { origins: true });
reader.assign({ topic: setup.topics.validated, partition: 0, offset: 0 });

const total = rate * seconds;
const sentAtMs = new Float64Array(total);
const latenciesMs: number[] = [];
const sends: Promise<number[]>[] = [];
const startedAtMs = performance.now();

async function produce(): Promise<void> {
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor((performance.now() - startedAtMs) / 1000 * rate));
    if (due > sent) sends.push(send(sent, due));
    sent = Math.max(sent, due);
    await new Promise((resolve) => setTimeout(resolve, BATCH_MS));
  }
  await Promise.all(sends);
}

function send(from: number, to: number): Promise<number[]> {
  let text = "";
  const valueEnds: number[] = [];
  const slotMs = Date.UTC(2024, 0, 1);
  for (let n = from; n < to; n++) {
    sentAtMs[n] = performance.now();
    const time = new Date(slotMs + Math.floor(n / METERS) * 1_800_000).toISOString();
    text += `{"meter_id":"MTR${String(n % METERS).padStart(6, "0")}",` +
      `"timestamp":"${time.slice(0, 19)}Z","consumption_kwh":0.219}`;
    valueEnds.push(text.length);
  }
  return producer.send([{
    topic: setup.topics.raw,
    partition: 0,
    count: to - from,
    values: encoder.encode(text),
    valueEnds,
    keys: null,
    keyEnds: null,
    timesMs: Date.now(),
    origins: null,
  }]);
}

async function consume(): Promise<void> {
  const deadlineMs = performance.now() + (seconds + 30) * 1000;
  while (latenciesMs.length < total && performance.now() < deadlineMs) {
    const batch = await reader.next(100);
    const nowMs = performance.now();
    if (batch === null || batch.origins === null) continue;
    for (let r = 0; r < batch.count; r++) {
      latenciesMs.push(nowMs - sentAtMs[batch.origins.offsets[r]]);
    }
  }
}

await Promise.all([produce(), consume()]);
await producer.close();
await reader.close();
await setup.log.close();
// The first second is start-up: connections, the first restore.
const steady = latenciesMs.slice(rate).sort((a, b) => a - b);
const at = (share: number) => Math.round(steady[Math.floor(share * (steady.length - 1))]);
console.log(JSON.stringify({ p50: at(0.5), p99: at(0.99), readings: latenciesMs.length }));
