/** CRC-32 as gzip and zip have it (ISO 3309): eight bytes a step, by eight tables. */
const TABLES = tablesOf();

function tablesOf(): Uint32Array[] {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let n = 0; n < 256; n++) {
    let sum = n;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? sum >>> 1 ^ 0xedb88320 : sum >>> 1;
    tables[0][n] = sum;
  }
  for (let n = 0; n < 256; n++) {
    for (let t = 1; t < 8; t++) {
      const before = tables[t - 1][n];
      tables[t][n] = before >>> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

/** The sum of bytes; `before`: that of the bytes before them. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const [a, b, c, d, e, f, g, h] = TABLES;
  let sum = ~before;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    const low = sum ^
      (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24);
    sum = h[low & 0xff] ^ g[low >>> 8 & 0xff] ^ f[low >>> 16 & 0xff] ^ e[low >>> 24] ^
      d[bytes[at + 4]] ^ c[bytes[at + 5]] ^ b[bytes[at + 6]] ^ a[bytes[at + 7]];
  }
  for (; at < bytes.length; at++) sum = sum >>> 8 ^ a[(sum ^ bytes[at]) & 0xff];
  return ~sum >>> 0;
}
