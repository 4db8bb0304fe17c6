import { type FileNames, ROWS, type Unread } from "./unread.ts";

/* Files known by their first bytes, or by the words that they open with. */

type Kind = {
  readonly what: string;
  /** Whether it is to be read one day: a meter format, or a common way to pack one. */
  readonly isMeant?: boolean;
  /** One file packed, which its way unpacks. */
  readonly isPacked?: boolean;
  /** Bytes at the start, as Latin-1 text; or a test of the text there. */
  readonly start: string | RegExp;
  readonly way?: (names: FileNames) => string | readonly string[];
};

const unpack = (command: string) => ({ file, made }: FileNames) =>
  `${command} ${file} > ${made("")}`;
const asCsv = ({ file }: FileNames) => [
  "save the sheet as CSV (UTF-8), there or with LibreOffice:",
  `soffice --headless --convert-to csv ${file}`,
];
const ELSEWHERE = "write it as CSV first, with DuckDB, pandas or what made it";

/** How files of old Office programs begin, and those of new ones that have a password. */
const OLE = "\xd0\xcf\x11\xe0";

/** The first that fits is it. */
const KINDS: readonly Kind[] = [
  {
    what: "a gzip archive",
    start: "\x1f\x8b",
    way: unpack("gzip -dc"),
    isPacked: true,
    isMeant: true,
  },
  { what: "a zstd archive", start: "\x28\xb5\x2f\xfd", way: unpack("zstd -dc"), isPacked: true },
  { what: "a bzip2 archive", start: /^BZh\d1AY/, way: unpack("bzip2 -dc"), isPacked: true },
  { what: "an xz archive", start: "\xfd7zXZ\0", way: unpack("xz -dc"), isPacked: true },
  { what: "an lz4 archive", start: "\x04\x22\x4d\x18", way: unpack("lz4 -dc"), isPacked: true },
  { what: "a 7-Zip archive", start: "7z\xbc\xaf\x27\x1c", way: ({ file }) => `7z x ${file}` },
  { what: "a RAR archive", start: "Rar!\x1a", way: ({ file }) => `unrar x ${file}` },
  {
    what: "a tar archive",
    start: /^[^]{257}ustar/,
    way: ({ file }) => `tar -xf ${file}`,
  },
  { what: "a Parquet file", start: "PAR1", way: () => ELSEWHERE, isMeant: true },
  { what: "an Arrow (Feather) file", start: "ARROW1", way: () => ELSEWHERE },
  { what: "an ORC file", start: "ORC", way: () => ELSEWHERE },
  { what: "an Avro file", start: "Obj\x01", way: () => ELSEWHERE },
  { what: "an HDF5 file", start: "\x89HDF", way: () => ELSEWHERE },
  { what: "an SQLite database", start: "SQLite format 3\0", way: () => ELSEWHERE },
  {
    what: "an encrypted Excel workbook",
    start: new RegExp(`^${OLE}[^]*${[..."EncryptedPackage"].join("\0")}`),
    way: () => "open it with its password, and save it without one, or as CSV",
  },
  {
    what: "an old Excel workbook (.xls), or one with a password",
    start: OLE,
    way: asCsv,
  },
  { what: "a PDF document", start: "%PDF" },
  { what: "a picture", start: /^(\x89PNG|\xff\xd8\xff|GIF8|II\*\0|MM\0\*)/ },
  { what: "a rich text document (RTF)", start: "{\\rtf" },
  {
    what: "a pointer of Git LFS in place of the file",
    start: "version https://git-lfs",
    way: () => "git lfs pull",
  },
  {
    what: "NEM12, the Australian exchange format",
    start: /^\s*("?100"?,"?NEM12|200,[^\n]*\n\s*300,\d{8},)/i,
    way: () => ROWS,
    isMeant: true,
  },
  {
    what: "NEM13, the Australian exchange format of accumulated reads",
    start: /^\s*("?100"?,"?NEM13|250,([^,\n]*,){12})/i,
    way: () => ROWS,
    isMeant: true,
  },
  {
    what: "Green Button (ESPI XML)",
    start: /^\s*<[^]*naesb\.org\/espi/,
    way: () => ROWS,
    isMeant: true,
  },
  {
    what: "an Excel sheet as XML",
    start: /^\s*<[^]*schemas-microsoft-com:office:spreadsheet/,
    way: asCsv,
  },
  {
    what: "a web page (HTML)",
    start: /^\s*(<!--[^]*?-->\s*)?<(!doctype html|html|head|body|table|div|script)\b/i,
    way: () => "often a log-in or error page, saved in place of the file: look at it in a browser",
  },
  { what: "EDIFACT (MSCONS and the like)", start: /^\s*UN[AB][^\w\s]/, way: () => ROWS },
  { what: "a British data flow (D0010 and the like)", start: /^\s*ZHV\|/, way: () => ROWS },
  { what: "CMEP, the Californian exchange format", start: /^\s*MEPM[DL]\d\d,/, way: () => ROWS },
  {
    what: "JSON",
    start: /^\s*[[{]\s*["{[\]}]/,
    way: () => "a recorded raw topic, one object a line, is played where its name ends in .jsonl",
  },
];

/** Of an archive with files, and of an empty one. */
const ZIP_STARTS = ["PK\x03\x04", "PK\x05\x06"];
/** Of files put together before they were packed, whose name may stand in quotes. */
const TAR_NAME = /\.(tar\.\w+|t[gx]z|tbz2?|tzst)'?$/i;
/** How much is looked at for the marks of a kind: headers of XML may be long. */
const MARKS_CHARS_MAX = 65_536;

/**
 * What a file is by what it begins with, given as characters of one byte each, or as its text;
 * null: nothing that is known.
 */
export function recognize(start: string, names: FileNames): Unread | null {
  const text = start.slice(0, MARKS_CHARS_MAX).replace(/^(\xef\xbb\xbf|\ufeff)/, "");
  if (ZIP_STARTS.some((start) => text.startsWith(start))) return recognizeZip(text, names);
  const kind = KINDS.find(({ start }) =>
    typeof start === "string" ? text.startsWith(start) : start.test(text)
  );
  if (kind === undefined) return recognizeXml(text);
  const { what, way, isMeant = false, isPacked = false } = kind;
  if (isPacked && TAR_NAME.test(names.file)) {
    return unread(`a tar archive, packed as ${what}`, [`tar -xf ${names.file}`], { isMeant });
  }
  const ways = way === undefined ? [ROWS] : [way(names)].flat();
  return unread(what, ways, { isMeant, again: isPacked ? { add: [], made: "" } : null });
}

function unread(
  what: string,
  ways: readonly string[],
  { isMeant = false, again = null }: { isMeant?: boolean; again?: Unread["again"] } = {},
): Unread {
  return { reason: `this is ${what}${isMeant ? "; not read yet" : ""}`, ways, again };
}

/** Bytes as characters of the same number, which regular expressions can look at. */
export function latin1Of(bytes: Uint8Array): string {
  return new TextDecoder("utf-16le", { ignoreBOM: true }).decode(new Uint16Array(bytes));
}

/** A workbook is a zip archive of XML, and so is a document. */
function recognizeZip(text: string, names: FileNames): Unread {
  if (/opendocument\.spreadsheet/.test(text.slice(0, 200))) {
    return unread("a spreadsheet (.ods)", asCsv(names));
  }
  if (/xl\/|workbook/.test(text) || /\.xlsx'?$/i.test(names.file)) {
    return unread("an Excel workbook (.xlsx)", asCsv(names), { isMeant: true });
  }
  if (/word\/|opendocument\.text/.test(text)) return unread("a text document", [ROWS]);
  // The name of the first file stands 30 bytes behind the start, its length 26.
  const length = text.charCodeAt(26) + 256 * text.charCodeAt(27);
  const first = text.startsWith("PK\x03\x04") ? text.slice(30, 30 + length) : "";
  const inside = first === "" ? "" : `, of ${JSON.stringify(first.slice(0, 60))}`;
  return unread(`a zip archive${inside}`, [`unzip ${names.file}`], { isMeant: true });
}

function recognizeXml(text: string): Unread | null {
  if (!/^\s*<(\?xml|[a-z_][\w:.-]*[\s>])/i.test(text)) return null;
  const root = /<([a-z_][\w:.-]*)[\s>/]/i.exec(text.replace(/<!--[^]*?-->|<\?[^]*?\?>/g, ""));
  return unread(root === null ? "XML" : `XML (<${root[1].slice(0, 40)}>)`, [ROWS]);
}
