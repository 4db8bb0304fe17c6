import { blockLength, copyRecord, newBlock, type RecordBlock, type RecordSource } from "./block.ts";
import { csvSource } from "./csv_file.ts";
import type { ReplayFiles } from "./files.ts";
import { mergeCursor, mergeSources, type RecordCursor } from "./merge.ts";
import type { FileInspection, Inspection, ReplayOptions } from "./records.ts";
import { meterPartitions } from "./row_record.ts";
import { runSource, writeRun } from "./run_file.ts";
import { sortedSource } from "./sort.ts";
import { BLOCKS_PER_TURN, nextTurn } from "./turn.ts";

/** Sources merged at once: each keeps a file open and some 200 KiB. */
const FAN_IN_MAX = 128;
/** What sorting a record costs besides its bytes: its columns and its place in the order. */
const SORT_RECORD_BYTES = 48;

/** Opens a source: it takes no memory before. */
type OpenSource = () => RecordSource;

/** A directory for runs that comes into being with the first of them. */
export type SpillDirectory = {
  /** The path of the next run. */
  newPath(): string;
  /** Removes the directory and all runs. */
  remove(): void;
};

/** A spill directory of its own under `parent`. */
export function spillDirectory(parent: string, files: ReplayFiles): SpillDirectory {
  let path: string | null = null;
  let runs = 0;
  return {
    newPath: () => {
      path ??= files.makeSpillDirectory(parent);
      return `${path}/${runs++}.run`;
    },
    remove: () => {
      if (path !== null) files.removeSpillDirectory(path);
      path = null;
    },
  };
}

/**
 * All rows of the inspected files as one stream, in order of arrival, then file, then row.
 *
 * Files in order are streamed. The others are sorted in memory, `sortBytesMax` at a time; all but
 * the last of these runs go to `directory`.
 */
export async function gatherRecords(
  inspection: Inspection,
  options: ReplayOptions,
  directory: SpillDirectory,
): Promise<RecordCursor> {
  const { whole: { table, laterRows } } = inspection;
  const { zone, nowMs, judging } = options;
  const shared = {
    ...options,
    reading: { zone, nowMs, judging, series: table, addsSeries: false },
    meters: meterPartitions(table, options.partitions),
  };
  const open = ({ path, stamp }: FileInspection, fileIndex: number): RecordSource =>
    csvSource({ ...shared, path, fileIndex, laterRows: laterRows[fileIndex], expected: stamp });
  const inputs: OpenSource[] = [];
  const unordered: OpenSource[] = [];
  inspection.files.forEach((file, index) => {
    if (file.rows > 0) (file.isOrdered ? inputs : unordered).push(() => open(file, index));
  });
  // Runs come last, in the order of their rows: among equal keys the merge goes by file first, and
  // a file is either streamed or in runs.
  inputs.push(...await sortIntoRuns(unordered, options, directory));
  return mergeCursor((await reduceInputs(inputs, options, directory)).map((open) => open()));
}

async function sortIntoRuns(
  unordered: readonly OpenSource[],
  options: ReplayOptions,
  directory: SpillDirectory,
): Promise<OpenSource[]> {
  const runs: OpenSource[] = [];
  const held = newBlock(1 << 10, 1 << 17);
  let blocks = 0;
  for (const open of unordered) {
    const source = open();
    try {
      for (let block = source.next(); block !== null; block = source.next()) {
        for (let i = 0; i < block.count; i++) copyRecord(block, i, held);
        if (blockLength(held) + held.count * SORT_RECORD_BYTES >= options.sortBytesMax) {
          runs.push(await spill(sortedSource(held), options, directory));
          held.count = 0;
        }
        if (++blocks % BLOCKS_PER_TURN === 0) await nextTurn(options.signal);
      }
    } finally {
      source.close();
    }
  }
  if (held.count > 0) runs.push(inMemory(held));
  return runs;
}

function inMemory(held: RecordBlock): OpenSource {
  return () => sortedSource(held);
}

async function spill(
  source: RecordSource,
  options: ReplayOptions,
  directory: SpillDirectory,
): Promise<OpenSource> {
  const path = directory.newPath();
  await writeRun(source, path, options);
  return () => runSource(path, options.files);
}

/**
 * Merges neighbours into runs until the inputs are few enough, no more of them than it takes: what
 * is merged here is written and read once more.
 */
async function reduceInputs(
  inputs: readonly OpenSource[],
  options: ReplayOptions,
  directory: SpillDirectory,
): Promise<readonly OpenSource[]> {
  const fanInMax = options.fanInMax ?? FAN_IN_MAX;
  let current = inputs;
  while (current.length > fanInMax) {
    const reduced: OpenSource[] = [];
    let excess = current.length - fanInMax;
    for (let at = 0; at < current.length;) {
      const width = Math.min(fanInMax, excess + 1, current.length - at);
      const group = current.slice(at, at + width);
      at += width;
      excess -= width - 1;
      reduced.push(
        width === 1
          ? group[0]
          : await spill(mergeSources(group.map((open) => open())), options, directory),
      );
    }
    current = reduced;
  }
  return current;
}
