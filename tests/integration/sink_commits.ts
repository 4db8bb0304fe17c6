import { emptyLedger } from "../../src/core/ledger.ts";
import { JsonWriter } from "../../src/core/wire/output_json.ts";
import type { SinkCommit, SinkKind, SinkRun } from "../../src/engine/sink/ports.ts";
import { PostgresDatabase } from "../../src/adapters/postgres/database.ts";
import { PostgresSink } from "../../src/adapters/postgres/sink.ts";

/** That of every topic here. */
export const TOPIC_ID = "00000000-0000-4000-8000-000000000001";

/** Commits as a sink makes them of messages, without a Kafka. */

export const PARTITIONS = [0, 1];
const HOUR_MS = 3_600_000;
/** Raw records of one commit: 4 ok, 2 late, 1 too late, 1 duplicate, 1 rejected. */
const RAW = 9;
const KINDS: readonly SinkKind[] = ["validated", "gap", "late", "rejected", "finding", "metric"];

/** Writes commits `first` up to `end` of every partition; each has rows in every table. */
export async function commitMessages(
  url: string,
  { first, end, startMs }: {
    readonly first: number;
    readonly end: number;
    readonly startMs: number;
  },
): Promise<void> {
  const database = new PostgresDatabase(url, { connections: 1, name: "t", statementMsMax: 0 });
  try {
    const sink = new PostgresSink(database, {
      answerMsMax: 60_000,
      gapGraceMs: 900_000,
      stateTtlMs: 604_800_000,
    });
    for (const partition of PARTITIONS) {
      await sink.load(KINDS.map((topic) => ({ topic, topicId: TOPIC_ID, partition, offset: 0 })));
      for (let n = first; n < end; n++) {
        await sink.commit(commitOf(n, partition, startMs + n * HOUR_MS));
      }
    }
  } finally {
    await database.close();
  }
}

function commitOf(n: number, partition: number, timeMs: number): SinkCommit {
  const runs = KINDS.map((kind) => runOf(kind, { n, partition, timeMs }));
  const counted = (of: number) => of * (n + 1);
  const ledger = {
    ...emptyLedger(),
    ...{ raw: counted(RAW), ok: counted(4), late: counted(2), too_late: counted(1) },
    ...{ duplicate: counted(1), rejected: counted(1) },
  };
  return {
    partition,
    runs,
    moves: runs.map(({ kind, batch }) => ({
      topic: kind,
      partition,
      from: n * 100,
      to: batch.nextOffset,
      messages: batch.count,
    })),
    account: { nextOffset: counted(RAW), watermarkMs: timeMs, ledger },
  };
}

const TAGS: readonly Record<string, string>[] = [{ status: "OK", a: 'quoted "\u0001' }, {}];

type Place = { readonly n: number; readonly partition: number; readonly timeMs: number };

function runOf(kind: SinkKind, { n, partition, timeMs }: Place): SinkRun {
  const writer = new JsonWriter(64);
  const origins: number[] = [];
  const base = n * RAW;
  const reading = (at: number, meter: string, ms = timeMs) => {
    origins.push(base + at);
    return { offset: base + at, meterId: meter, timestampMs: ms, consumptionKwh: 0.25 + at };
  };
  const delayMs = 61_000;
  switch (kind) {
    case "validated":
      for (const at of [0, 1, 2, 3]) {
        const flags = at === 3 ? ["TIME_SHIFT"] : [];
        writer.validated({ ...reading(at, `m${at}`), status: "OK", flags, delayMs: 0 });
      }
      for (const at of [4, 5]) {
        writer.validated({ ...reading(at, `m\u{1f4a1}${at}`), status: "LATE", flags: [], delayMs });
      }
      break;
    case "gap":
      // The gap of every other commit is the one before it, told of again.
      writer.gap({
        ...{ offset: base + 3, meterId: "m3", idMs: timeMs - (n % 2) * HOUR_MS },
        missingFromMs: timeMs - (n % 2) * HOUR_MS,
        missingToMs: timeMs + HOUR_MS,
        missingIntervals: 2 + n % 2,
        rejectedIntervals: 0,
        state: n % 2 === 0 ? "OPEN" : "CLOSED",
        detectedAtMs: timeMs,
      });
      origins.push(base + 3);
      break;
    case "late":
      writer.late({ ...reading(6, "m6"), delayMs });
      break;
    case "rejected":
      for (const [at, reason] of [[7, "DUPLICATE"], [8, "MALFORMED"]] as const) {
        const raw = new Uint8Array([123, 0, 125]);
        writer.rejected(
          { ...reading(at, "m7"), reason, detail: `of ${at}`, raw, atMs: timeMs },
          partition,
        );
      }
      break;
    case "finding":
      // So is what a rule has found.
      writer.finding({
        ...{ offset: base + 3, meterId: "m3", rule: "STUCK", severity: "warn", detail: "" },
        ...{ fromMs: timeMs - (n % 2) * HOUR_MS, toMs: timeMs + HOUR_MS, slots: 2 + n % 2 },
        ...{ value: 250_000, limit: n % 3 === 0 ? NaN : 125_000 },
      });
      origins.push(base + 3);
      break;
    case "metric":
      for (const tags of TAGS) {
        writer.metric({
          ...{ offset: base + 8, metricType: "event_processed", meterId: null },
          ...{ timestampMs: timeMs, value: 4, tags },
        });
        origins.push(base + 8);
      }
      break;
    default:
      return kind satisfies never;
  }
  return runOfMessages(writer, origins, { kind, partition, n });
}

/** The messages written, and one behind them that is none. */
export function runOfMessages(
  writer: JsonWriter,
  origins: readonly number[],
  { kind, partition, n }: { kind: SinkKind; partition: number; n: number },
): SinkRun {
  const length = writer.ends[writer.ends.length - 1];
  const bytes = new Uint8Array(length + 4);
  bytes.set(writer.bytes.subarray(0, length));
  bytes.set(new TextEncoder().encode("none"), length);
  const ends = [...writer.ends, length + 4];
  const count = ends.length;
  const numbers = (of: (at: number) => number) =>
    Float64Array.from({ length: count }, (_, i) => of(i));
  const offsets = [...origins, origins[origins.length - 1]];
  const batch = {
    ...{ topic: kind, partition, count, bytes },
    values: { starts: Int32Array.from([0, ...ends.slice(0, -1)]), ends: Int32Array.from(ends) },
    offsets: numbers((at) => n * 100 + at),
    timesMs: numbers(() => Date.UTC(2024, 0)),
    keys: null,
    origins: {
      partitions: new Int32Array(count).fill(partition),
      offsets: Float64Array.from(offsets),
      indexes: new Int32Array(count),
    },
    ...{ nextOffset: (n + 1) * 100, logEndOffset: 0, lastStableOffset: 0 },
  };
  return { kind, batch, first: 0, end: count };
}
