import { denoFiles } from "../adapters/deno/files.ts";
import type { Decided, Decision } from "../audit/answer.ts";
import type { CsvColumns } from "../formats/csv_header.ts";
import { nextRows, openCsvFile } from "../replay/csv_file.ts";

const DELIMITER_NAMES: Readonly<Record<string, string>> = {
  ",": "comma",
  ";": "semicolon",
  "\t": "tab",
  "|": "bar",
};

/** What was decided about the files, which can be read as they are. */
export function decidedOf(
  paths: readonly string[],
  { columns, timezone, isGiven }: {
    readonly columns: CsvColumns;
    readonly timezone: string;
    /** Whether the zone was given with the command. */
    readonly isGiven: boolean;
  },
): Decided {
  const delimiters = new Set(paths.map((path) => delimiterOf(path, columns)));
  const named = (value: string, evidence: string): Decision => ({ value, evidence });
  return {
    format: named("csv", "its first line names a meter, a time and a value column"),
    encoding: named("utf-8", "its beginning decodes"),
    delimiter: named([...delimiters].join(", "), "by it the header line has these columns"),
    decimal: named("point", "the only one that plain CSV has"),
    date_order: named("year first", "ISO 8601, the only one that plain CSV has"),
    label: named("start", "times are taken as they are written"),
    unit: named("kWh", "the only one that plain CSV has"),
    timezone: named(timezone, isGiven ? "given: --timezone" : "setting timezone"),
    channels: { value: null, evidence: "no channel column" },
  };
}

function delimiterOf(path: string, columns: CsvColumns): string {
  const csv = openCsvFile(path, { files: denoFiles, columns });
  try {
    nextRows(csv);
    const delimiter = String.fromCharCode(csv.reader.layout?.delimiter ?? 0);
    return DELIMITER_NAMES[delimiter] ?? delimiter;
  } finally {
    csv.file.close();
  }
}
