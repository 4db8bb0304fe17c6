import { Inflate } from "fflate";
import { ReadError } from "./read_error.ts";

/** A file in a zip archive. */
export type ZipMember = {
  readonly name: string;
  readonly method: number;
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
const LOCAL_BYTES = 30;
const MEMBERS_MAX = 65_534;
const END_MARK = 0x06054b50;
const CENTRAL_MARK = 0x02014b50;
const DEFLATED = 8;
const PIECE_BYTES = 1 << 16;
/** What a member may unpack to, of each of its bytes: more is made to fill a disk. */
const RATIO_MAX = 2000;
const FREE_BYTES = 1 << 26;

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

/**
 * Unpacks a member from its beginning.
 *
 * @throws {ReadError} when it is encrypted, packed in a way of its own, or damaged
 */
export function openMember(file: string, member: ZipMember, readAt: ReadAt): MemberReader {
  const { method, isEncrypted, packedBytes, sizeBytes, headerAt } = member;
  if (isEncrypted) throw damaged(file, "it is encrypted", "unpack it with its password");
  if (method !== 0 && method !== DEFLATED) {
    throw damaged(file, `it is packed by method ${method}`, "unpack it by hand");
  }
  if (sizeBytes > FREE_BYTES && sizeBytes > packedBytes * RATIO_MAX) throw bomb(file);
  const header = readAt(headerAt, LOCAL_BYTES);
  if (header.length < LOCAL_BYTES) throw damaged(file, "it ends too early");
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  let at = headerAt + LOCAL_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
  const packedEnd = at + packedBytes;
  const pieces: Uint8Array[] = [];
  let made = 0;
  const inflate = method === 0 ? null : new Inflate((piece) => {
    if (piece.length > 0) pieces.push(piece);
  });
  return () => {
    while (pieces.length === 0 && at < packedEnd) {
      const packed = readAt(at, Math.min(PIECE_BYTES, packedEnd - at));
      if (packed.length === 0) throw damaged(file, "it ends too early");
      at += packed.length;
      if (inflate === null) pieces.push(packed);
      else inflateInto(inflate, packed, at === packedEnd, file);
    }
    const piece = pieces.shift() ?? null;
    made += piece?.length ?? 0;
    if (made > sizeBytes) throw damaged(file, "it unpacks to more than its directory says");
    if (piece === null && made < sizeBytes) throw damaged(file, "it ends too early");
    return piece;
  };
}

function inflateInto(inflate: Inflate, packed: Uint8Array, isLast: boolean, file: string): void {
  try {
    inflate.push(packed, isLast);
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw damaged(file, `its data are damaged (${cause.message})`);
  }
}

function damaged(file: string, what: string, hint = "copy or download it again"): ReadError {
  return new ReadError(`Cannot read "${file}": ${what}`, hint);
}

function bomb(file: string): ReadError {
  return damaged(
    file,
    `it unpacks to more than ${RATIO_MAX} times its size`,
    "no meter file does: unpack it by hand, if it is to be trusted",
  );
}
