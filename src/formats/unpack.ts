import { Gunzip } from "fflate";
import { ReadError } from "./read_error.ts";
import type { Stage } from "./stage.ts";

/** What a gzip file may unpack to, of each of its bytes: more is made to fill a disk. */
const RATIO_MAX = 2000;
const FREE_BYTES = 1 << 26;

/** Unpacks gzip. */
export function gunzipStage(file: string): Stage {
  let taken = 0;
  let made = 0;
  let emitted: ((bytes: Uint8Array) => void) | null = null;
  const gunzip = new Gunzip((bytes) => {
    made += bytes.length;
    if (made > FREE_BYTES && made > taken * RATIO_MAX) {
      throw new ReadError(
        `Cannot read "${file}": it unpacks to more than ${RATIO_MAX} times its size`,
        "no meter file does: unpack it by hand, if it is to be trusted",
      );
    }
    if (bytes.length > 0) emitted?.(bytes);
  });
  return {
    push: (bytes, isLast, emit) => {
      emitted = emit;
      taken += bytes.length;
      try {
        gunzip.push(bytes, isLast);
      } catch (cause) {
        if (cause instanceof ReadError || !(cause instanceof Error)) throw cause;
        throw new ReadError(
          `Cannot read "${file}": its gzip data end too early, or are damaged (${cause.message})`,
          "copy or download it again",
          { cause },
        );
      }
    },
  };
}
