/**
 * A copy of at most `bytesMax` bytes, that cuts no UTF-8 character, and what is to be said of it
 * where it is not all.
 */
export function keepBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  bytesMax: number,
): { readonly raw: Uint8Array; readonly note: string } {
  let cut = end;
  if (end - start > bytesMax) {
    cut = start + bytesMax;
    for (let back = 0; back < 3 && (bytes[cut] & 0xc0) === 0x80; back++) cut--;
  }
  const note = cut === end ? "" : ` (first ${cut - start} of ${end - start} bytes kept)`;
  return { raw: bytes.slice(start, cut), note };
}

/** Bytes that are known to be ASCII, as text. */
export function asciiText(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let p = start; p < end; p++) text += String.fromCharCode(bytes[p]);
  return text;
}

/** A text of ASCII as bytes. */
export function asciiBytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Writes bytes at `at`, few enough to go one by one; returns where they end. */
export function writeBytes(from: Uint8Array, to: Uint8Array, at: number): number {
  for (let i = 0; i < from.length; i++) to[at + i] = from[i];
  return at + from.length;
}

/** A text as databases can hold it: SQLite's ends at NUL when it is read back, PostgreSQL's has none. */
export function withoutNul(text: string): string {
  return text.includes("\0") ? text.replaceAll("\0", "\ufffd") : text;
}

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text that bytes are in UTF-8; null: they are not. */
export function utf8Text(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes);
  } catch (error) {
    // By its name: a runtime that lends its globals to another realm has a TypeError of its own.
    if ((error as Error).name !== "TypeError") throw error;
    return null;
  }
}
