/** Where at most `bytesMax` bytes end without cutting a UTF-8 character. */
export function cutBetweenCharacters(
  bytes: Uint8Array,
  start: number,
  end: number,
  bytesMax: number,
): number {
  if (end - start <= bytesMax) return end;
  let cut = start + bytesMax;
  for (let back = 0; back < 3 && (bytes[cut] & 0xc0) === 0x80; back++) cut--;
  return cut;
}

/** What a detail says of bytes that were cut. */
export function cutNote(start: number, cutEnd: number, end: number): string {
  return cutEnd === end ? "" : ` (first ${cutEnd - start} of ${end - start} bytes kept)`;
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
