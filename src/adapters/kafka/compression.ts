import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { compressionsAlgorithms } from "@platformatic/kafka";
import { KafkaFormatError } from "./bytes.ts";

/** How record batches are packed; the number is that of the batch's attributes. */
export const COMPRESSION_CODES = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

export type Compression = keyof typeof COMPRESSION_CODES;

/** Fast and small enough: measured on our own outputs, more saves nothing. */
const ZSTD_LEVEL = 1;
const GZIP_LEVEL = 1;

/** Packs the records of a batch. */
export function compress(records: Uint8Array, compression: Compression): Uint8Array {
  switch (compression) {
    case "none":
      return records;
    case "gzip":
      return zlib.gzipSync(records, { level: GZIP_LEVEL });
    case "zstd":
      return zlib.zstdCompressSync(records, {
        params: { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
      });
    case "snappy":
    case "lz4":
      return compressionsAlgorithms[compression].compressSync(asBuffer(records));
    default:
      return compression satisfies never;
  }
}

/** Unpacks the records of a batch; `code` is that of its attributes. */
export function decompress(packed: Uint8Array, code: number): Uint8Array {
  switch (code) {
    case COMPRESSION_CODES.gzip:
      return zlib.gunzipSync(packed);
    case COMPRESSION_CODES.zstd:
      return zlib.zstdDecompressSync(packed);
    case COMPRESSION_CODES.snappy:
      return compressionsAlgorithms.snappy.decompressSync(asBuffer(packed));
    case COMPRESSION_CODES.lz4:
      return compressionsAlgorithms.lz4.decompressSync(asBuffer(packed));
    default:
      throw new KafkaFormatError(`compression ${code} is not known`);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
