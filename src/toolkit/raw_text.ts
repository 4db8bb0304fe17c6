/** A reading as a program has it. What is wrong with one is told by `take().rejected`. */
export type JudgeReading = {
  readonly meterId: string | number;
  /** Event time: ISO 8601 (without an offset: in the option `timezone`), a Date, or epoch ms. */
  readonly at: string | number | Date;
  readonly kwh: number | string;
  /** When it came to the head end, if that is known: nothing is FUTURE that came later. */
  readonly receivedAt?: string | number | Date;
  /** The interval that the meter says it has from this reading on. */
  readonly intervalMinutes?: number;
  /** The quality code that it was delivered with; an actual reading replaces an estimate. */
  readonly quality?: string;
  /** Where it came from, for people; kept where it is rejected. */
  readonly source?: string;
};

/** A reading as a raw record. Never throws: what cannot be read becomes a record that says so. */
export function readingText(reading: JudgeReading): string {
  if (typeof reading !== "object" || reading === null) return jsonText(() => reading);
  return jsonText(() => {
    const { meterId, at, kwh, receivedAt, intervalMinutes, quality, source } = reading;
    return {
      meter_id: sayable(meterId),
      timestamp: sayable(at),
      consumption_kwh: sayable(kwh),
      received_at: receivedAt,
      interval_minutes: intervalMinutes,
      quality,
      source,
    };
  });
}

/** What a tick is told besides its time. */
export type TickOptions = { readonly final?: boolean };

/** A tick as a raw record. */
export function tickText(at: string | number | Date, options?: TickOptions): string {
  return jsonText(() => {
    const isFinal = options?.final === true;
    return { type: "tick", timestamp: sayable(at), final: isFinal ? true : undefined };
  });
}

/** Whatever is handed in as a raw record. */
export function recordText(record: unknown): string {
  return typeof record === "string" ? record : jsonText(() => sayable(record));
}

/** JSON of what `say` gives; no text where there is none: of a ring of objects, a getter that throws. */
function jsonText(say: () => unknown): string {
  try {
    return JSON.stringify(say()) ?? "";
  } catch {
    return ""; // whatever a stranger's object throws, its record is one that cannot be read
  }
}

/** A field as JSON can say it: numbers that JSON has not become text, so that people see them. */
function sayable(field: unknown): unknown {
  const isSaid = typeof field !== "bigint" && (typeof field !== "number" || Number.isFinite(field));
  return isSaid ? field : String(field);
}
