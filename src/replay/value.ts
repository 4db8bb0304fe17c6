import { parseDecimal, parseNumberText } from "../core/wire/decimal.ts";

/** A value cell as read. */
export type CellValue = {
  /** NaN: it is no finite number. */
  kwh: number;
  /** The text is a JSON number as it stands. */
  isJsonNumber: boolean;
};

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reads the text `bytes[start..end)` as the core will read it of a record. */
export function readValue(bytes: Uint8Array, start: number, end: number, into: CellValue): void {
  const kwh = parseDecimal(bytes, start, end);
  into.kwh = kwh;
  into.isJsonNumber = kwh === kwh;
  if (into.isJsonNumber || start === end) return;
  const text = decoder.decode(bytes.subarray(start, end));
  into.kwh = parseNumberText(text);
  into.isJsonNumber = JSON_NUMBER.test(text);
}
