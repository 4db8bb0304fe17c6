import { DISPOSITIONS } from "../core/ledger.ts";
import { Claims } from "./claims.ts";
import { COPY_HEADER_BYTES } from "./copy.ts";
import { addRowBytes, type Digest, emptyDigest } from "./digest.ts";
import { COLUMNS } from "./output_rows.ts";

/*
 * The digests of PostgreSQL's tables. A row's hash is that of its binary COPY form, which is the same
 * whether we send it or the server gives it back: nothing of it has to be understood. Its last fields
 * count only up to the last that is neither null nor empty, so that a column that a later version adds
 * at the end, null or empty where it was not known, leaves the hashes of earlier rows as they are.
 */

/** How the rows of a table are hashed, and which digest each of them belongs to. */
type Layout = {
  /** What is hashed, in this order: columns, or what SQL makes of them. */
  readonly columns: readonly string[];
  /** Where the partition stands (integer); null: the table is not kept by partition. */
  readonly partition: number | null;
  /** Where the time stands (timestamptz); null: the table is not kept by day. */
  readonly time: number | null;
  /** Where the raw offset stands (bigint) by which rows from before the digests are known. */
  readonly offset: number | null;
  /** Each row is what became of one raw record. */
  readonly isOfRecord: boolean;
  /** Each partition has one row, which is written over as a whole. */
  readonly isSingle: boolean;
};

const KEPT_BY_DAY = [
  ...["validated_readings", "gap_alerts", "late_events", "rejected_readings", "metrics"],
] as const;
const SINGLE = {
  ledger: ["partition", "raw", ...DISPOSITIONS],
  positions: ["partition", "next_offset", "watermark", "judged_to"],
  task_state: ["partition", "state"],
};

export type DigestedTable =
  | "validated_readings"
  | "gap_alerts"
  | "late_events"
  | "rejected_readings"
  | "validation_records"
  | "metrics"
  | keyof typeof SINGLE
  | "sink_positions"
  | "sink_errors"
  | "state_changelog"
  | "inputs"
  | "settings";

/** Every table that digests are kept of. `readings_meter_daily` has none: it is made of the readings. */
export const LAYOUTS: Readonly<Record<DigestedTable, Layout>> = {
  validated_readings: rowsByDay("validated_readings"),
  gap_alerts: rowsByDay("gap_alerts"),
  late_events: rowsByDay("late_events"),
  rejected_readings: rowsByDay("rejected_readings"),
  validation_records: layoutOf(COLUMNS.validation_records, {
    time: COLUMNS.validation_records.indexOf('"from"'),
    partition: COLUMNS.validation_records.indexOf("source_partition"),
    offset: COLUMNS.validation_records.indexOf("source_offset"),
  }),
  metrics: rowsByDay("metrics"),
  ledger: singleRow("ledger"),
  positions: singleRow("positions"),
  task_state: singleRow("task_state"),
  sink_positions: layoutOf(["partition", "topic", "next_offset", "messages"], { partition: 0 }),
  sink_errors: layoutOf(
    ["time", "topic", "partition", '"offset"', "error", "sqlstate", "value", "value_encoding"],
    { time: 0, partition: 2 },
  ),
  state_changelog: layoutOf(["partition", "next_offset", "part", "payload"], {
    partition: 0,
    offset: 1,
  }),
  inputs: layoutOf(
    ["id", "fingerprint", "description", "base_offsets::text", "now_at", "finished::integer"],
    {},
  ),
  settings: layoutOf(["key", "value"], {}),
};

/** Those that only a database has that `run` plays into. */
export const RUN_TABLES: readonly DigestedTable[] = [
  ...["task_state", "state_changelog", "inputs", "settings"] as const,
];

function layoutOf(columns: readonly string[], places: Partial<Omit<Layout, "columns">>): Layout {
  const none = { partition: null, time: null, offset: null, isOfRecord: false, isSingle: false };
  return { columns, ...none, ...places };
}

function rowsByDay(table: typeof KEPT_BY_DAY[number]): Layout {
  const columns = COLUMNS[table];
  return layoutOf(columns, {
    time: columns.indexOf("time"),
    partition: columns.indexOf("source_partition"),
    offset: columns.indexOf("source_offset"),
    isOfRecord: table !== "gap_alerts" && table !== "metrics",
  });
}

function singleRow(table: keyof typeof SINGLE): Layout {
  return layoutOf(SINGLE[table], { partition: 0, isSingle: true });
}

/** Stands for "not kept by day", and for "not kept by partition". */
export const NONE = -1;

/** Which digest a row belongs to. */
export type DigestKey = {
  readonly table: DigestedTable;
  readonly partition: number;
  readonly day: number;
};

/** A digest, and how many of its rows retention has to tell from the others. */
export type MarkedDigest = Digest & {
  /** Late readings of `validated_readings`, repeats of `rejected_readings`. */
  marked: number;
};

/** The first raw offset of a table's partition whose rows are digested. */
export type DigestedFrom = (table: DigestedTable, partition: number) => number;

const DAY_US = 86_400_000_000;
const POSTGRES_EPOCH_DAY = 10_957;
const FIELDS_MAX = 64;
/** The offset of a field in `#starts` that is null. */
const NULL = -1;

/** Digests of rows in binary COPY form, by table, partition and day. */
export class TableDigests {
  readonly #digestedFrom: DigestedFrom;
  readonly #tables = new Map<DigestedTable, Map<number, Map<number, MarkedDigest>>>();
  /** Where the fields of a row begin. */
  readonly #starts = new Int32Array(FIELDS_MAX);
  #view = new DataView(new ArrayBuffer(0));
  /** Which raw records have a row, by partition; null: nobody asks. */
  readonly claims: Map<number, Claims> | null;

  constructor(digestedFrom: DigestedFrom, { claims = false } = {}) {
    this.#digestedFrom = digestedFrom;
    this.claims = claims ? new Map() : null;
  }

  /** Adds the rows of a whole COPY; `count` -1 takes them out. */
  addCopy(table: DigestedTable, copy: Uint8Array<ArrayBuffer>, count: 1 | -1 = 1): void {
    this.addRows(table, copy.subarray(COPY_HEADER_BYTES), count);
  }

  /** The same of rows that stand one behind another, without the header. */
  addRows(table: DigestedTable, rows: Uint8Array<ArrayBuffer>, count: 1 | -1 = 1): void {
    const layout = LAYOUTS[table];
    if (rows.buffer !== this.#view.buffer) this.#view = new DataView(rows.buffer);
    const view = this.#view;
    const starts = this.#starts;
    const rowsEnd = rows.byteOffset + rows.length;
    let partition = NaN;
    let dayUs = NaN;
    let from = 0;
    let digest = EMPTY;
    let claims: Claims | null = null;
    for (let at = rows.byteOffset; at + 2 <= rowsEnd;) {
      const fields = view.getInt16(at);
      if (fields < 0) return;
      const start = at + 2;
      let end = start;
      at = start;
      for (let field = 0; field < fields; field++) {
        const length = view.getInt32(at);
        at += 4;
        starts[field] = length < 0 ? NULL : at;
        if (length <= 0) continue;
        at += length;
        end = at;
      }
      const rowPartition = layout.partition === null
        ? NONE
        : view.getInt32(starts[layout.partition]);
      const timeUs = layout.time === null ? NaN : int64At(view, starts[layout.time]);
      // Rows of a day come together: what is known of the one before is asked first.
      if (rowPartition !== partition || !(timeUs >= dayUs && timeUs < dayUs + DAY_US)) {
        partition = rowPartition;
        dayUs = Math.floor(timeUs / DAY_US) * DAY_US;
        const day = layout.time === null ? NONE : dayUs / DAY_US + POSTGRES_EPOCH_DAY;
        from = this.#digestedFrom(table, partition);
        digest = this.of({ table, partition, day });
        if (layout.isOfRecord) claims = this.#claimsOf(partition);
      }
      if (claims !== null && layout.offset !== null) {
        claims.take(int64At(view, starts[layout.offset]));
      }
      if (from > 0 && layout.offset !== null && int64At(view, starts[layout.offset]) < from) {
        continue;
      }
      addRowBytes(digest, view, start, end, count);
      if (isMarked(table, view, starts)) digest.marked += count;
    }
  }

  #claimsOf(partition: number): Claims | null {
    return this.claims === null ? null : entryOf(this.claims, partition, () => new Claims());
  }

  /** The digest of a key, to add to. */
  of({ table, partition, day }: DigestKey): MarkedDigest {
    const partitions = entryOf(this.#tables, table, () => new Map());
    const days = entryOf(partitions, partition, () => new Map());
    return entryOf(days, day, () => ({ ...emptyDigest(), marked: 0 }));
  }

  /** Adds what others have added up. */
  take(others: TableDigests): void {
    for (const [key, { rows, marked, low, high }] of others.entries()) {
      const digest = this.of(key);
      digest.rows += rows;
      digest.marked += marked;
      digest.low = (digest.low + low) >>> 0;
      digest.high = (digest.high + high) >>> 0;
    }
  }

  *entries(): Generator<[DigestKey, MarkedDigest]> {
    for (const [table, partitions] of this.#tables) {
      for (const [partition, days] of partitions) {
        for (const [day, digest] of days) yield [{ table, partition, day }, digest];
      }
    }
  }
}

const EMPTY: MarkedDigest = { ...emptyDigest(), marked: 0 };

const DELAY = COLUMNS.validated_readings.indexOf("delay_seconds");
const REASON = COLUMNS.rejected_readings.indexOf("reason");

function isMarked(table: DigestedTable, view: DataView, starts: Int32Array): boolean {
  if (table === "validated_readings") return starts[DELAY] !== NULL;
  if (table !== "rejected_readings") return false;
  const at = starts[REASON];
  const length = view.getInt32(at - 4);
  const reason = decoder.decode(new Uint8Array(view.buffer as ArrayBuffer, at, length));
  return reason === "DUPLICATE" || reason === "CONFLICT";
}

const decoder = new TextDecoder();

/** A whole number; beyond 2^53 a near one. */
function int64At(view: DataView, at: number): number {
  return view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4);
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = make());
  return value;
}
