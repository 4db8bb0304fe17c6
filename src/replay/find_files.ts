import { decide, type Decided, type Decision } from "../formats/decided.ts";
import type { Found } from "../formats/found.ts";
import { ReadError } from "../formats/read_error.ts";
import { headThrough } from "../formats/stage.ts";
import type { FormatOptions } from "../formats/table.ts";
import { type FileHead, plainDecided, type QuoteWord, readHead, unreadError } from "./file_head.ts";
import type { PackedFiles } from "./packed_files.ts";
import type { FileFormats } from "./records.ts";

/** Files as they were found. */
export type FoundFiles = {
  /** Of archives, the files in them. */
  readonly paths: readonly string[];
  readonly formats: FileFormats;
  readonly decided: Decided;
  /** The zone that their format says, where all of them say the same; null: none does. */
  readonly timezone: string | null;
  /** Whether their times are those of a settled exchange: of no clock that may have been reset. */
  readonly isSettled: boolean;
  /** Formats of which no sample was ever at hand. */
  readonly unverified: readonly string[];
  /** What of the files is not read, in a line each. */
  readonly notes: readonly string[];
  /** Of all of them, unpacked. */
  readonly sizeBytes: number;
  /** Differs wherever files are read otherwise; absent: all are plain CSV. */
  readonly said?: string;
};

/** Where files are, and how their names are told. */
type Where = { readonly files: PackedFiles; readonly quote: QuoteWord };

/**
 * Finds out what files are, by their beginnings, before anything is made.
 *
 * @throws {ReadError} for the first that cannot be read: what it is, and what to do
 */
export async function findFiles(
  named: readonly string[],
  options: FormatOptions,
  where: Where,
): Promise<FoundFiles> {
  const { files } = where;
  const paths: string[] = [];
  const found = new Map<string, Found | null>();
  const decided: Decided[] = [];
  const notes: string[] = [];
  let sizeBytes = 0;
  for (const name of named) {
    const packed = name.endsWith(".jsonl") ? [name] : await files.expand(name);
    const errors: ReadError[] = [];
    for (const path of packed) {
      if (!path.endsWith(".jsonl")) {
        const head = readHead(files, path);
        try {
          const one = await findFile(path, head, { ...where, options });
          found.set(path, one);
          sizeBytes += head.sizeBytes;
          decided.push(
            packedDecided(
              files.packingOf(path),
              one?.decided ?? plainDecided(head, options.columns),
            ),
          );
        } catch (error) {
          // One of a workbook's sheets has the readings, others are for people.
          if (!(error instanceof ReadError) || !files.isSheet(path)) throw error;
          errors.push(error);
          continue;
        }
      }
      paths.push(path);
    }
    if (errors.length > 0 && errors.length === packed.length) throw errors[0];
    notes.push(...errors.map(({ message }) => `note: passed over: ${message}`));
  }
  const all = [...found.values()].filter((one) => one !== null);
  const zones = new Set(all.flatMap(({ timezone }) => timezone ?? []));
  if (zones.size > 1) {
    throw new ReadError(
      `Cannot read files of different zones at once: ${[...zones].join(", ")}`,
      "read them one by one",
    );
  }
  return {
    paths,
    formats: (path) => found.get(path) ?? null,
    decided: mergeDecided(decided),
    timezone: [...zones][0] ?? null,
    isSettled: all.length === found.size && all.every(({ format }) => SETTLED.has(format)),
    said: all.length === 0 ? undefined : JSON.stringify([...found.values()]),
    unverified: [...new Set(all.flatMap((one) => one.isUnverified ? [one.format] : []))],
    notes,
    sizeBytes,
  };
}

/** Formats that are exchanged after the readings were looked at. */
const SETTLED: ReadonlySet<string> = new Set(["nem12", "nem13"]);

/** What a file is; null: plain CSV. */
async function findFile(
  path: string,
  head: FileHead,
  { files, quote, options }: Where & { readonly options: FormatOptions },
): Promise<Found | null> {
  const { columns, meterId, decimal, dateOrder, headerLine, profile, forced } = options;
  const stages = files.stagesOf(path);
  const isAsked = [columns.channel, meterId, decimal, dateOrder, headerLine, profile, forced]
    .some((one) => one !== undefined);
  const unread = stages.length > 0 ? null : unreadError(path, head, { columns, quote });
  if (unread === null && !isAsked && stages.length === 0) return null;
  const { findFormat } = await import("../formats/found.ts");
  const found = findFormat({
    bytes: head.head,
    isWhole: head.isWhole,
    file: path,
    name: nameOf(path, files.isSheet(path)),
    stages,
  }, options);
  if (found !== null) return found;
  if (unread !== null) throw unread;
  const text = headThrough(stages.map((make) => make()), head.head, head.isWhole);
  const inside = unreadError(path, { head: text, isWhole: head.isWhole }, { columns, quote });
  if (inside !== null && profile === undefined && forced === undefined) throw inside;
  const format = profile?.name ?? forced;
  throw new ReadError(
    `Cannot read "${path}"${format === undefined ? "" : ` as ${format}`}: no line of it names ` +
      "the columns that are looked for",
    format === undefined
      ? "--meter-column, --time-column and --value-column NAME say which they are"
      : "gridwatch formats FILE says what it is taken for without --format",
  );
}

/** What is decided of a file, with what it is packed in. */
function packedDecided(packing: string | null, decided: Decided): Decided {
  const { value, evidence } = decided.format;
  return packing === null
    ? decided
    : { ...decided, format: decide(value, `${packing}; ${evidence}`) };
}

/** What a file of one meter is called by: without folder and endings; of a sheet its workbook. */
function nameOf(path: string, isSheet: boolean): string {
  const file = isSheet ? path.replace(/\/[^/]*$/, "") : path;
  return file.split(/[\\/]/).pop()!.replace(/(\.(csv|txt|tsv|xml|xlsx|parquet|zip|gz))+$/i, "");
}

/** Of several files what was decided of each, where they differ. */
function mergeDecided(all: readonly Decided[]): Decided {
  const keys = Object.keys(all[0] ?? {}) as (keyof Decided)[];
  const entries = keys.map((key): [keyof Decided, Decision] => {
    const values = [...new Set(all.map((one) => one[key].value))];
    const value = values.length === 1 ? values[0] : values.map((one) => one ?? "none").join(", ");
    return [key, decide(value, all[0][key].evidence)];
  });
  return Object.fromEntries(entries) as Decided;
}
