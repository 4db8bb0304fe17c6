import { ReadError } from "./read_error.ts";

/** A file in a zip archive. */
export type ZipMember = {
  readonly name: string;
  readonly method: number;
  /** CRC-32 of what is in it. */
  readonly sum: number;
  readonly isEncrypted: boolean;
  readonly packedBytes: number;
  readonly sizeBytes: number;
  /** Where its local header stands. */
  readonly headerAt: number;
};

/** Reads bytes of a file at a place; short only at its end. */
export type ReadAt = (at: number, length: number) => Uint8Array;

const END_BYTES = 22;
const COMMENT_BYTES_MAX = 65_535;
const CENTRAL_BYTES = 46;
const MEMBERS_MAX = 65_534;
const END_MARK = 0x06054b50;
const CENTRAL_MARK = 0x02014b50;

/**
 * The files in an archive, by its directory at the end; folders and what systems add are left out.
 *
 * @throws {ReadError} when the directory is not there, or is damaged
 */
export function listZip(file: string, sizeBytes: number, readAt: ReadAt): ZipMember[] {
  const tailAt = Math.max(0, sizeBytes - END_BYTES - COMMENT_BYTES_MAX);
  const tail = readAt(tailAt, sizeBytes - tailAt);
  const tailView = new DataView(tail.buffer, tail.byteOffset, tail.length);
  let end = tail.length - END_BYTES;
  while (end >= 0 && tailView.getUint32(end, true) !== END_MARK) end--;
  if (end < 0) throw damaged(file, "its directory is missing: it ends too early");
  const count = tailView.getUint16(end + 10, true);
  const length = tailView.getUint32(end + 12, true);
  const at = tailView.getUint32(end + 16, true);
  if (count > MEMBERS_MAX || at === 0xffffffff) {
    throw damaged(file, "it is of the kind for more than 4 GiB", "unpack it by hand");
  }
  const bytes = readAt(at, length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const members: ZipMember[] = [];
  for (let n = 0, p = 0; n < count; n++) {
    if (p + CENTRAL_BYTES > bytes.length || view.getUint32(p, true) !== CENTRAL_MARK) {
      throw damaged(file, "its directory is damaged");
    }
    const nameBytes = view.getUint16(p + 28, true);
    const name = new TextDecoder().decode(
      bytes.subarray(p + CENTRAL_BYTES, p + CENTRAL_BYTES + nameBytes),
    );
    const member = {
      name,
      method: view.getUint16(p + 10, true),
      sum: view.getUint32(p + 16, true),
      isEncrypted: (view.getUint16(p + 8, true) & 1) === 1,
      packedBytes: view.getUint32(p + 20, true),
      sizeBytes: view.getUint32(p + 24, true),
      headerAt: view.getUint32(p + 42, true),
    };
    if (!/\/$|^__MACOSX\/|(^|\/)\./.test(name)) members.push(member);
    p += CENTRAL_BYTES + nameBytes + view.getUint16(p + 30, true) + view.getUint16(p + 32, true);
  }
  return members;
}

/** A member's bytes, a piece each call; null: it has ended. */
export type MemberReader = () => Uint8Array | null;

/** What is wrong with an archive. */
export function damaged(file: string, what: string, hint = "copy or download it again"): ReadError {
  return new ReadError(`Cannot read "${file}": ${what}`, hint);
}
