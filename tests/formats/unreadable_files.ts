/** Files that people have at hand and that are not read, or not as they are. */

/** A file, and what is said of it; `isMended`: by what the message says, it plays. */
export type Unreadable = {
  readonly name: string;
  readonly content: string | Uint8Array;
  readonly reason: RegExp;
  readonly isMended?: boolean;
};

const lines = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join("\n") + "\n";
/** The half hours of a day. */
const at = (i: number) => `2024-01-01 ${String(i >> 1).padStart(2, "0")}:${i % 2 ? "30" : "00"}`;
const cells = (count: number, cell: (i: number) => string, delimiter = ",") =>
  Array.from({ length: count }, (_, i) => cell(i)).join(delimiter);
const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const utf16 = (text: string, { hasMark = true, isBig = false } = {}) => {
  const view = new DataView(new ArrayBuffer(2 * (text.length + 1)));
  [...(hasMark ? "\ufeff" : ""), ...text].forEach((char, i) =>
    view.setUint16(2 * i, char.charCodeAt(0), !isBig)
  );
  return new Uint8Array(view.buffer, 0, 2 * (text.length + Number(hasMark)));
};
/** The local header of a zip archive's first file; nothing else is looked at. */
const zip = (first: string, rest = "") =>
  latin1(`PK\x03\x04${"\0".repeat(22)}${String.fromCharCode(first.length)}\0\0\0${first}${rest}`);
const TABLE = "meter_id,timestamp,consumption_kwh\n" + lines(10, (i) => `M1,${at(i)},0.2${i}`);

const PACKED: readonly Unreadable[] = [
  { name: "a.xlsx", content: zip("[Content_Types].xml", "xl/workbook.xml"), reason: /Excel/ },
  {
    name: "a.ods",
    content: zip("mimetype", "vnd.oasis.opendocument.spreadsheet"),
    reason: /\.ods/,
  },
  { name: "a.xls", content: latin1("\xd0\xcf\x11\xe0\xa1\xb1" + "\0".repeat(99)), reason: /\.xls/ },
  { name: "a.zip", content: zip("inner.csv", "x"), reason: /zip archive, of "inner\.csv"/ },
  { name: "a.csv.gz", content: latin1("\x1f\x8b\x08\0\0"), reason: /gzip archive; not read yet/ },
  { name: "a.csv.xz", content: latin1("\xfd7zXZ\0\0"), reason: /xz archive/ },
  { name: "a.csv.bz2", content: latin1("BZh91AY&SY\0"), reason: /bzip2 archive/ },
  { name: "a.csv.zst", content: latin1("\x28\xb5\x2f\xfd\0"), reason: /zstd archive/ },
  {
    name: "a.tar.gz",
    content: latin1("\x1f\x8b\x08\0\0"),
    reason: /a tar archive, packed as a gzip/,
  },
  { name: "b c.txz", content: latin1("\xfd7zXZ\0\0"), reason: /a tar archive, packed as an xz/ },
  { name: "a.tar", content: latin1("a.csv".padEnd(257, "\0") + "ustar\0"), reason: /tar archive/ },
  { name: "a.parquet", content: latin1("PAR1\x15\x04"), reason: /Parquet file; not read yet/ },
  { name: "a.db", content: latin1("SQLite format 3\0"), reason: /SQLite database/ },
  { name: "a.pdf", content: latin1("%PDF-1.7\n\x00"), reason: /PDF document$/ },
  { name: "lfs.csv", content: "version https://git-lfs.github.com/spec/v1\n", reason: /Git LFS/ },
  { name: "zeros.bin", content: new Uint8Array(99), reason: /^it is a binary file, not CSV$/ },
];

const FORMATS: readonly Unreadable[] = [
  {
    name: "nem12.csv",
    content: `100,NEM12,200405011135,MDA1,Ret1\r\n200,V1,E1,1,E1,N1,M1,kWh,30,\r\n`,
    reason: /this is NEM12, the Australian exchange format; not read yet$/,
  },
  {
    name: "nem12_headless.csv",
    content: `\n200,V1,E1,1,E1,N1,M1,kWh,30,\n300,20040201,${cells(48, () => "1.1")},A,,,\n`,
    reason: /this is NEM12/,
  },
  { name: "nem13.csv", content: "100,NEM13,200401101030,MDA1,Ret1\n", reason: /this is NEM13/ },
  {
    name: "green_button.xml",
    content: `<?xml version="1.0"?>\n<!-- ${"=".repeat(3000)} -->\n` +
      `<ns1:feed xmlns:espi="http://naesb.org/espi">`,
    reason: /Green Button \(ESPI XML\); not read yet/,
  },
  {
    name: "other.xml",
    content: `<?xml version="1.0"?>\n<readings a="1">`,
    reason: /XML \(<readings>\)/,
  },
  { name: "page.csv", content: "\n<!DOCTYPE html>\n<html>", reason: /a web page \(HTML\)/ },
  { name: "a.json", content: `[\n  {"meter": 1}]`, reason: /this is JSON/ },
  { name: "a.edi", content: "UNA:+.? 'UNB+UNOC:3", reason: /EDIFACT/ },
  { name: "empty.csv", content: "", reason: /^it is empty$/ },
  { name: "blank.csv", content: "\n \r\n", reason: /^it is empty$/ },
];

const HALF_HOURS = cells(48, (i) => at(i).slice(11));
const WIDE: readonly Unreadable[] = [
  {
    name: "day_of_48.csv",
    content: `Meter,Date,${HALF_HOURS}\n` + lines(9, (i) => `W,2026-03-0${i + 1},${HALF_HOURS}`),
    reason: /a wide file: a row a day, one column a half hour \(48\); not read yet/,
  },
  {
    name: "hh.csv",
    content: `LCLid,day,${cells(48, (i) => `hh_${i}`)}\n` +
      lines(9, (i) => `M,2012-10-1${i},${cells(48, () => "0.1")}`),
    reason: /one column a half hour \(48\)/,
  },
  {
    name: "day_of_96.csv",
    content: `id;date;${cells(96, (i) => `V${String(i + 1).padStart(2, "0")}`, ";")}\n` +
      lines(9, (i) => `A;1${i}.10.2012;${cells(96, () => "0,1", ";")}`),
    reason: /one column a quarter hour \(96\), with decimal commas \(0,1\)/,
  },
  {
    name: "hours.csv",
    content: `day,meter,${cells(25, (i) => `H${i + 1}`)}\n` +
      lines(9, (i) => `2012-10-1${i},A,${cells(25, () => "1")}`),
    reason: /one column a hour \(25\)/,
  },
  {
    name: "uci.txt",
    content: `"";"MT_001";"MT_002"\n` + lines(9, (i) => `"2014-03-16 0${i}:15:00";468,75;149`),
    reason: /one column a meter or register \("MT_001", "MT_002"\), a row a time, with decimal/,
  },
  {
    name: "registers.csv",
    content: ",GC,GG\n" + lines(9, (i) => `2011-07-01 0${i}:00:00,0.39,0.0`),
    reason: /one column a meter or register \("GC", "GG"\)/,
  },
  {
    name: "pivot.csv",
    content: `meter,${cells(9, at)}\n` + lines(9, (i) => `M${i},${cells(9, () => "0.1")}`),
    reason: /a wide file: one column a moment or day/,
  },
];

const TEXTS: readonly Unreadable[] = [
  { name: "utf16.csv", content: utf16(TABLE), reason: /this is UTF-16 text/, isMended: true },
  {
    name: "utf16_tab.txt",
    content: utf16(
      "Meter;Zeit;kWh\n".replaceAll(";", "\t") + lines(9, (i) => `1\t${at(i)}\t0,${i}`),
    ),
    reason: /this is UTF-16 text, with decimal commas/,
    isMended: true,
  },
  {
    name: "utf16_big.csv",
    content: utf16(TABLE, { hasMark: false, isBig: true }),
    reason: /this is UTF-16BE text/,
    isMended: true,
  },
  {
    name: "cp1252.csv",
    content: latin1(
      "Z\xe4hler;Zeit;Verbrauch (kWh)\n" + lines(9, (i) => `1;01.01.2024 0${i}:00;0,5`),
    ),
    reason: /not UTF-8, Windows-1252 most likely, with decimal commas \(0,5\)/,
    isMended: true,
  },
  {
    name: "cp1252_ids.csv",
    content: latin1(
      "meter_id,timestamp,consumption_kwh\nCaf\xe9,2024-01-01,1\nCaf\xe8,2024-01-01,1\n",
    ),
    reason: /not UTF-8/,
    isMended: true,
  },
  {
    name: "enedis.csv",
    content: "Identifiant PRM;Type;Unite;Pas en minutes\n2,3E+13;Courbe;W;30\nHorodate;Valeur\n" +
      lines(9, (i) => `2023-01-01T0${i}:00:00+01:00;400`),
    reason: /2 lines before its header on line 3, with values in W; not read yet/,
  },
  {
    name: "preamble.csv",
    content: `"Name : A B",,,\n"UOM: kWh",,,\n,,,\n"Meter Number","Start","Unit","Consumed"\n` +
      lines(9, (i) => `"0001","09/04/2024 0${i}:00","Hour","0.3"`),
    reason: /3 lines before its header on line 4; not read yet/,
    isMended: true,
  },
  {
    name: "sdge.csv",
    content: `"Name : A B",,,\n,,,\n"Meter Number","Date","Start Time","Consumed"\n` +
      lines(9, (i) => `"0001","09/04/2024",0${i}:00:00 AM,"0.3"`),
    reason: /2 lines before its header on line 3, with date and time in two columns \("Date", "Sta/,
  },
  {
    name: "sep.csv",
    content: `sep=;\n${TABLE.replaceAll(",", ";")}`,
    reason: /a line before/,
    isMended: true,
  },
  { name: "comment.csv", content: `# by\n# x\n${TABLE}`, reason: /2 lines before/, isMended: true },
  {
    name: "semicolons.csv",
    content: TABLE.replaceAll(",", ";").replaceAll(".", ","),
    reason: /decimal commas \(0,20\)/,
    isMended: true,
  },
  {
    name: "tabs.tsv",
    content: TABLE.replaceAll(",", "\t").replaceAll(".", ","),
    reason: /decimal/,
    isMended: true,
  },
  { name: "commas.csv", content: TABLE.replaceAll(".", ","), reason: /decimal commas \(0,20\)/ },
  {
    name: "headless.csv",
    content: TABLE.slice(TABLE.indexOf("\n") + 1),
    reason: /no header line; not read yet/,
    isMended: true,
  },
  {
    name: "headless_marked.csv",
    content: "\ufeff" + lines(9, (i) => `${at(i)};0.2${i}`),
    reason: /no header line/,
    isMended: true,
  },
  { name: "cer.txt", content: lines(9, (i) => `1392 1950${i} 0.14`), reason: /blanks between its/ },
  {
    name: "mac.csv",
    content: TABLE.replaceAll("\n", "\r"),
    reason: /line ends of old Macs/,
    isMended: true,
  },
];

const COLUMNS: readonly Unreadable[] = [
  {
    name: "esiid.csv",
    content: TABLE.replace("meter_id", "ESIID"),
    reason: /^no meter column: found "ESIID", "timestamp", "consumption_kwh"$/,
    isMended: true,
  },
  {
    name: "three.csv",
    content: "Serial No,Read Date,Usage,Unit\n" + lines(9, (i) => `123,${at(i)},0.2,kWh`),
    reason:
      /^no meter, no time and no value column: found "Serial No", "Read Date", "Usage", "Unit"$/,
    isMended: true,
  },
  {
    name: "one meter's.csv",
    content: "\ufeffConsumption (kWh), Cost (p), Start, End\r\n" +
      lines(9, (i) => `0.2, 3.4, ${at(i)}, ${at(i + 1)}`),
    reason: /^no meter, no time and no value column/,
    isMended: true,
  },
  {
    name: "single.csv",
    content: TABLE.replace(/^.*?,/gm, ""),
    reason: /^no meter column/,
    isMended: true,
  },
  {
    name: "nothing.csv",
    content: "a,b,c\n1,2,3\n",
    reason: /^no meter, no time and no value column/,
  },
  { name: "words.txt", content: "Hello there\nthis is a letter.\n", reason: /^no meter, no time/ },
];

export const UNREADABLE: readonly Unreadable[] = [
  ...PACKED,
  ...FORMATS,
  ...WIDE,
  ...TEXTS,
  ...COLUMNS,
];

/** Files that play as they are. */
export const READABLE: readonly (readonly [name: string, content: string | Uint8Array])[] = [
  ["plain", TABLE],
  ["semicolons", TABLE.replaceAll(",", ";")],
  ["a byte order mark and blank lines", `\ufeff\n\n${TABLE}`],
  ["a note that is not UTF-8", latin1(TABLE.replaceAll("\n", ",caf\xe9\n"))],
  ["whole numbers", "meter_id;timestamp;consumption_kwh\nM1;2024-01-01;1\n"],
  ["a header alone", "meter_id,timestamp,consumption_kwh\n"],
  ["letters of any script", TABLE.replaceAll("M1", "Zähler‐7")],
];

/** Of these the formats that read them: no plain reader does, but they play. */
export const READ_BY_FORMAT: Readonly<Record<string, string>> = {
  "nem12.csv": "nem12",
  "nem12_headless.csv": "nem12",
  "nem13.csv": "nem13",
  "green_button.xml": "green-button",
  "day_of_48.csv": "wide-day",
  "hh.csv": "wide-day",
  "day_of_96.csv": "wide-day",
  "uci.txt": "uci",
  "registers.csv": "ausgrid",
  "utf16.csv": "csv",
  "utf16_big.csv": "csv",
  "cp1252_ids.csv": "csv",
  "enedis.csv": "enedis",
  "sep.csv": "csv",
  "comment.csv": "csv",
  "semicolons.csv": "csv",
  "tabs.tsv": "csv",
  "commas.csv": "csv",
  "one meter's.csv": "octopus",
  "single.csv": "csv",
};
