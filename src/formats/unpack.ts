import { Gunzip } from "fflate";
import { crc32 } from "./crc32.ts";
import { ReadError } from "./read_error.ts";
import type { Stage } from "./stage.ts";

/** What a file may unpack to, of each of its bytes, once that is much: more is made to fill a disk. */
const RATIO_MAX = 250;
const FREE_BYTES = 1 << 26;
/** So little is unpacked at a time that the most that comes of it takes little memory. */
const PUSH_BYTES = 1 << 13;
const TRAILER_BYTES = 8;

/**
 * Holds what comes out of a packed file against its limits.
 *
 * @throws {ReadError} when it is too much
 */
export function checkRatio(file: string, packedBytes: number, unpackedBytes: number): void {
  if (unpackedBytes <= FREE_BYTES || unpackedBytes <= packedBytes * RATIO_MAX) return;
  throw new ReadError(
    `Cannot read "${file}": it unpacks to more than ${RATIO_MAX} times its size, and more than ` +
      `${FREE_BYTES >> 20} MiB`,
    "no meter file does: unpack it by hand, if it is to be trusted",
  );
}

/** Unpacks gzip, of one member or several. */
export function gunzipStage(file: string): Stage {
  let taken = 0;
  let made = 0;
  let sum = 0;
  let tail = new Uint8Array(0);
  let emitted: ((bytes: Uint8Array) => void) | null = null;
  const gunzip = new Gunzip((bytes) => {
    made += bytes.length;
    checkRatio(file, taken, made);
    sum = crc32(bytes, sum);
    if (bytes.length > 0) emitted?.(bytes);
  });
  gunzip.onmember = () => sum = 0;
  const push = (bytes: Uint8Array, isLast: boolean) => {
    taken += bytes.length;
    tail = Uint8Array.from([...tail, ...bytes.subarray(-TRAILER_BYTES)]).slice(-TRAILER_BYTES);
    try {
      gunzip.push(bytes, isLast);
    } catch (cause) {
      if (cause instanceof ReadError || !(cause instanceof Error)) throw cause;
      throw damaged(file, cause);
    }
  };
  return {
    push: (bytes, isLast, emit) => {
      emitted = emit;
      for (let at = 0; at < bytes.length; at += PUSH_BYTES) {
        push(bytes.subarray(at, at + PUSH_BYTES), false);
      }
      if (!isLast) return;
      push(new Uint8Array(0), true);
      // The last member says at its end what the sum of its bytes is.
      if (new DataView(tail.buffer).getUint32(0, true) !== sum) {
        throw damaged(file, new Error("their checksum is another"));
      }
    },
  };
}

function damaged(file: string, cause: Error): ReadError {
  return new ReadError(
    `Cannot read "${file}": its gzip data end too early, or are damaged (${cause.message})`,
    "copy or download it again",
    { cause },
  );
}
