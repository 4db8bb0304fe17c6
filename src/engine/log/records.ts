import { JsonWriter } from "../../core/wire/output_json.ts";
import type { Outputs, SaidBefore } from "../../core/outputs.ts";
import type { RawRecord } from "../../core/wire/raw_record.ts";
import type { LogBatch, LogRecords } from "./ports.ts";

/** The topics of one pipeline. */
export type Topics = {
  readonly raw: string;
  readonly validated: string;
  readonly gapAlerts: string;
  readonly lateEvents: string;
  readonly rejected: string;
  readonly metrics: string;
  readonly changelog: string;
  /** Behind the others: a commit's mark names the topics in this order. */
  readonly validation: string;
};

/** Names of the topics, each behind the prefix. */
export function topicNames(prefix: string): Topics {
  return {
    raw: `${prefix}raw`,
    validated: `${prefix}validated`,
    gapAlerts: `${prefix}gap_alerts`,
    lateEvents: `${prefix}late_events`,
    rejected: `${prefix}rejected`,
    metrics: `${prefix}metrics`,
    changelog: `${prefix}state_changelog`,
    validation: `${prefix}validation`,
  };
}

/** Places record r of a batch of the raw topic for the core; a null value is an empty record. */
export function placeRecord(record: RawRecord, batch: LogBatch, r: number): RawRecord {
  const { bytes, values, offsets, timesMs, replayStartsMs } = batch;
  record.bytes = bytes;
  record.start = Math.max(0, values.starts[r]);
  record.end = values.starts[r] < 0 ? record.start : values.ends[r];
  record.offset = offsets[r];
  record.timeMs = timesMs[r];
  record.replayStartMs = replayStartsMs?.[r] ?? NaN;
  return record;
}

type Said = { readonly offset: number; readonly meterId: string | null };

/**
 * A partition's outputs as records of the output topics, in the partition of their cause, each with
 * the input record it came from. `nowMs` becomes the records' time: retention counts from it.
 */
export function outputRecords(
  outputs: Outputs,
  { topics, partition, nowMs }: { topics: Topics; partition: number; nowMs: number },
): LogRecords[] {
  const records: LogRecords[] = [];
  const add = <T extends Said>(
    topic: string,
    said: readonly T[],
    write: (writer: JsonWriter, one: T) => void,
    before?: SaidBefore,
  ) => {
    if (said.length > 0) records.push(toRecords(said, write, { topic, partition, nowMs, before }));
  };
  add(topics.validated, outputs.validated, (writer, one) => writer.validated(one));
  add(topics.gapAlerts, outputs.gaps, (writer, one) => writer.gap(one), outputs.gapsBefore);
  add(topics.lateEvents, outputs.late, (writer, one) => writer.late(one));
  add(topics.rejected, outputs.rejected, (writer, one) => writer.rejected(one, partition));
  const { findings, findingsBefore } = outputs;
  add(topics.validation, findings, (writer, one) => writer.finding(one), findingsBefore);
  add(topics.metrics, outputs.metrics, (writer, one) => writer.metric(one));
  return records;
}

function toRecords<T extends Said>(
  said: readonly T[],
  write: (writer: JsonWriter, one: T) => void,
  { topic, partition, nowMs, before }: {
    topic: string;
    partition: number;
    nowMs: number;
    before: SaidBefore | undefined;
  },
): LogRecords {
  const count = said.length;
  const writer = new JsonWriter(count * 128);
  const offsets = new Float64Array(count);
  const indexes = new Int32Array(count);
  const keys = new KeyWriter(count);
  for (let r = 0; r < count; r++) {
    const one = said[r];
    write(writer, one);
    keys.add(one.meterId ?? "");
    offsets[r] = one.offset;
    if (r > 0) indexes[r] = offsets[r - 1] === one.offset ? indexes[r - 1] + 1 : 0;
    else if (before?.offset === one.offset) indexes[r] = before.count;
  }
  return {
    topic,
    partition,
    count,
    values: writer.bytes.subarray(0, writer.length),
    valueEnds: writer.ends,
    keys: keys.bytes.subarray(0, keys.length),
    keyEnds: keys.ends,
    timesMs: nowMs,
    origins: { partition, offsets, indexes },
  };
}

const encoder = new TextEncoder();

/** Keys side by side; an empty one is written as null. */
class KeyWriter {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;
  readonly ends: Int32Array;
  #count = 0;

  constructor(count: number) {
    this.bytes = new Uint8Array(count * 16 + 64);
    this.ends = new Int32Array(count);
  }

  add(key: string): void {
    if (this.length + key.length * 3 > this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2 + key.length * 3);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    let at = this.length;
    for (let p = 0; p < key.length; p++) {
      const code = key.charCodeAt(p);
      if (code > 0x7f) {
        at = this.length + encoder.encodeInto(key, this.bytes.subarray(this.length)).written;
        break;
      }
      this.bytes[at++] = code;
    }
    this.length = at;
    this.ends[this.#count++] = at;
  }
}
