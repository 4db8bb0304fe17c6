import { Inflate } from "fflate";
import { damaged, type MemberReader, type ReadAt, type ZipMember } from "./zip_list.ts";
import { crc32 } from "./crc32.ts";
import { checkRatio } from "./unpack.ts";

const LOCAL_BYTES = 30;
const DEFLATED = 8;
/** So little is unpacked at a time that the most that comes of it takes little memory. */
const PIECE_BYTES = 1 << 14;

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
  checkRatio(file, packedBytes, sizeBytes);
  const header = readAt(headerAt, LOCAL_BYTES);
  if (header.length < LOCAL_BYTES) throw damaged(file, "it ends too early");
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  let at = headerAt + LOCAL_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
  const packedEnd = at + packedBytes;
  const pieces: Uint8Array[] = [];
  let made = 0;
  let sum = 0;
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
    if (piece !== null) sum = crc32(piece, sum);
    if (made > sizeBytes) throw damaged(file, "it unpacks to more than its directory says");
    if (piece === null && made < sizeBytes) throw damaged(file, "it ends too early");
    if (piece === null && sum !== member.sum) {
      throw damaged(file, "its data are damaged (their checksum is another)");
    }
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
