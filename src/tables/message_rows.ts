import {
  MessageError,
  type MessageFields,
  parseMessage,
  parsePlainReading,
  type PlainReading,
  readFinding,
  readGap,
  readLate,
  readMetric,
  readRejected,
  readValidated,
} from "../core/wire/output_message.ts";
import { endingOf, registeredOf, type Told } from "./incident_stage.ts";
import { MeterDays } from "./meter_days.ts";
import {
  COLUMNS,
  dayReadingOf,
  lateRow,
  LatestFindings,
  LatestGaps,
  meterDayRows,
  metricRow,
  rejectedRow,
  type TableRows,
  tableRows,
  validatedRow,
} from "./output_rows.ts";
import { CopyWriter } from "./copy.ts";

/** The kinds of messages that become rows. */
export type MessageKind = "validated" | "gap" | "late" | "rejected" | "finding" | "metric";

/** Where a message stands, and what it came from. */
export type MessageSource = {
  /** Of the raw record. */
  readonly offset: number;
  /** The message's own time in its topic. */
  readonly timeMs: number;
};

/** Messages of one kind and partition as rows of the tables: what `core/wire` reads, as rows. */
export class MessageRows {
  readonly #kind: MessageKind;
  readonly #partition: number;
  readonly #writer: CopyWriter;
  readonly #days = new MeterDays();
  readonly #gaps = new LatestGaps();
  readonly #findings = new LatestFindings();
  readonly #ended: Told["ended"][number][] = [];
  readonly #registered: Told["registered"][number][] = [];
  readonly #plain: PlainReading = {
    ...{ idStart: 0, idEnd: 0, timestampMs: NaN, consumptionKwh: NaN, receivedMs: NaN },
  };
  #firstMs = Infinity;
  #lastMs = -Infinity;

  constructor(kind: MessageKind, partition: number, countExpected = 0) {
    this.#kind = kind;
    this.#partition = partition;
    this.#writer = new CopyWriter(countExpected * 112 + 64);
  }

  /** Takes a message; what is wrong with it, or null. A message that is wrong leaves no row. */
  add(bytes: Uint8Array, start: number, end: number, source: MessageSource): string | null {
    if (this.#kind === "validated" && this.#addPlain(bytes, start, end, source.offset)) return null;
    try {
      this.#addFields(parseMessage(bytes, start, end), source);
      return null;
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      return error.message;
    }
  }

  /** Event times of the first and the last row, by the column `time`; null without rows. */
  get spanMs(): { readonly first: number; readonly last: number } | null {
    return this.#firstMs > this.#lastMs ? null : { first: this.#firstMs, last: this.#lastMs };
  }

  /** What the second stage is told of these messages, see `followGaps`. */
  get told(): Told {
    const isTimed = this.#kind === "validated" || this.#kind === "metric";
    return {
      gaps: this.#gaps.all,
      ended: this.#ended,
      registered: this.#registered,
      span: isTimed ? this.spanMs : null,
    };
  }

  /** The rows taken, tables without rows left out; this object is of no use afterwards. */
  tables(): TableRows[] {
    const partition = this.#partition;
    switch (this.#kind) {
      case "validated":
        return withRows([
          tableRows("validated_readings", this.#writer),
          meterDayRows(this.#days, partition),
        ]);
      case "gap":
        return withRows([tableRows("gap_alerts", this.#gaps.rows(partition))]);
      case "late":
        return withRows([tableRows("late_events", this.#writer)]);
      case "rejected":
        return withRows([tableRows("rejected_readings", this.#writer)]);
      case "finding":
        return withRows([tableRows("validation_records", this.#findings.rows(partition))]);
      case "metric":
        return withRows([tableRows("metrics", this.#writer)]);
      default:
        return this.#kind satisfies never;
    }
  }

  #addFields(fields: MessageFields, { offset, timeMs }: MessageSource): void {
    const partition = this.#partition;
    switch (this.#kind) {
      case "validated": {
        const reading = readValidated(fields, offset);
        validatedRow(this.#writer, reading, partition);
        this.#days.add(reading.meterId, dayReadingOf(reading));
        return this.#touch(reading.timestampMs);
      }
      case "gap": {
        const gap = readGap(fields, offset);
        this.#gaps.add(gap);
        return this.#touch(gap.idMs);
      }
      case "late": {
        const late = readLate(fields, offset);
        lateRow(this.#writer, late, partition);
        return this.#touch(late.timestampMs + late.delayMs);
      }
      case "rejected": {
        const rejected = readRejected(fields, offset, timeMs);
        rejectedRow(this.#writer, rejected, partition);
        return this.#touch(rejected.atMs);
      }
      case "finding": {
        const finding = readFinding(fields, offset);
        this.#findings.add(finding);
        return this.#touch(finding.fromMs);
      }
      case "metric": {
        const metric = readMetric(fields, offset);
        metricRow(this.#writer, metric, partition);
        this.#ended.push(...endingOf(metric));
        this.#registered.push(...registeredOf(metric));
        return this.#touch(metric.timestampMs);
      }
      default:
        return this.#kind satisfies never;
    }
  }

  #touch(ms: number): void {
    if (ms < this.#firstMs) this.#firstMs = ms;
    if (ms > this.#lastMs) this.#lastMs = ms;
  }

  /** Most accepted readings: false, and nothing written, where it is anything else. */
  #addPlain(bytes: Uint8Array, start: number, end: number, offset: number): boolean {
    const plain = this.#plain;
    if (!parsePlainReading(bytes, start, end, plain)) return false;
    const { idStart, idEnd, timestampMs, consumptionKwh: kwh, receivedMs } = plain;
    const writer = this.#writer;
    writer.row(COLUMNS.validated_readings.length);
    writer.timestamp(timestampMs);
    writer.utf8(bytes, idStart, idEnd);
    writer.float64(kwh);
    writer.fields(OK_WITHOUT_FLAGS);
    writer.int32(this.#partition);
    writer.int64(offset);
    writer.null(); // it revises none
    if (Number.isNaN(receivedMs)) writer.null();
    else writer.timestamp(receivedMs);
    writer.null(); // and has no quality
    const reading = {
      ...{ timestampMs, kwh, offset },
      revisesKwh: null,
      isLate: false,
      isFlagged: false,
    };
    this.#days.addUtf8(bytes, idStart, idEnd, reading);
    this.#touch(timestampMs);
    return true;
  }
}

/** The fields `status`, `flags` and `delay_seconds` of most readings, in binary COPY's form. */
const OK_WITHOUT_FLAGS = (() => {
  const writer = new CopyWriter();
  writer.text("OK");
  writer.textArray([]);
  writer.null();
  const framed = writer.finish(); // a header of 19 bytes before, an end of 2 behind
  return framed.slice(19, framed.length - 2);
})();

function withRows(tables: TableRows[]): TableRows[] {
  return tables.filter(({ rows }) => rows > 0);
}
