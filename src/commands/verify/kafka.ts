import type { Config } from "../../settings.ts";
import { judgingFingerprint, processorOptions } from "../../judging.ts";
import { type Ledger, ledgerDifference, sumLedgers } from "../../core/ledger.ts";
import type { LogAdmin } from "../../engine/log/ports.ts";
import type { LogDifference } from "../../engine/verify/output_cursor.ts";
import { type PartitionVerified, verifyPartition } from "../../engine/verify/partition.ts";
import {
  checkTopics,
  committedReader,
  DEADLINE_MS,
  openKafka,
  reachKafka,
} from "../../setup/kafka.ts";
import { UsageError } from "../../console/errors.ts";
import type { TopicsVerified } from "../../setup/answers.ts";
import { formatCount } from "../../console/progress.ts";
import { type Difference, outcomeOf } from "../../tables/balance.ts";
import { compareTables, describeTables, readTables, rowsVerified, type Tables } from "./tables.ts";
import { print, say, shellProgress, STOPPED_EXIT_CODE, stopSignal } from "../../console/shell.ts";

const METERS_SHOWN_MAX = 10;

/** The tables that were compared with the topics, and where they differ. */
type TablesCompared = { readonly tables: Tables; readonly differences: readonly Difference[] };

/**
 * Recomputes everything from the raw topic and compares it with the other topics, and with the tables
 * of a database; the exit code is 3 on a difference.
 */
export async function verifyKafka(
  config: Config,
  { url, isJson }: { url: string | null; isJson: boolean },
): Promise<number> {
  const stop = stopSignal(() => say("stopping"));
  // The tables first: the topics are never behind them.
  const tables = url === null ? null : await readTables(url);
  if (tables?.of === "store") {
    stop.release();
    throw new UsageError(
      "Cannot verify the topics with this database: files were played into it by `gridwatch run`",
      "`gridwatch verify --database URL` without --kafka, or the database that the sinks write",
    );
  }
  const setup = await openKafka(config);
  const admin = setup.log.admin({ deadlineMs: DEADLINE_MS });
  try {
    await reachKafka(setup, { deadlineMs: DEADLINE_MS, signal: stop.signal });
    const { partitions } = await checkTopics(setup);
    const progress = shellProgress({
      verb: "verifying",
      rowsTotal: null,
      isSilent: isJson,
    });
    const judging = await judgingFingerprint(config);
    const results: PartitionVerified[] = [];
    let done = 0;
    for (let partition = 0; partition < partitions; partition++) {
      const result = await verifyPartition({
        partition,
        topics: setup.topics,
        processorOptions: processorOptions(config, partition, null),
        judging,
        admin,
        openReader: () => committedReader(setup, { keys: true, origins: true }),
        accountAt: tables?.partitions.get(partition)?.nextOffset ?? null,
        signal: stop.signal,
        onProgress: (records) => progress.update(done + records),
      });
      done += result.rawRecords;
      results.push(result);
    }
    progress.clear();
    const unread = await findUnread(results, setup.topics.raw, admin);
    const compared = tables === null ? null : compare(tables, results);
    return report(results, { compared, unread, isJson });
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return STOPPED_EXIT_CODE;
    throw error;
  } finally {
    await admin.close();
    await setup.log.close();
    stop.release();
  }
}

function compare(tables: Tables, results: readonly PartitionVerified[]): TablesCompared {
  return { tables, differences: [...tables.differences, ...compareTables(tables, results)] };
}

/** Partitions that have raw records, of which nothing is processed yet: nothing was compared. */
export async function findUnread(
  results: readonly Pick<PartitionVerified, "partition" | "ledger">[],
  topic: string,
  admin: Pick<LogAdmin, "listOffsets">,
): Promise<number[]> {
  const refs = results.filter(({ ledger }) => ledger === null)
    .map(({ partition }) => ({ topic, partition }));
  if (refs.length === 0) return [];
  const starts = await admin.listOffsets(refs, "start");
  const ends = await admin.listOffsets(refs, "committedEnd");
  const startOf = (partition: number) =>
    starts.find((one) => one.partition === partition)?.offset ?? 0;
  return ends.filter(({ partition, offset }) => offset > startOf(partition))
    .map(({ partition }) => partition);
}

function report(
  results: readonly PartitionVerified[],
  { compared, unread, isJson }: {
    readonly compared: TablesCompared | null;
    readonly unread: readonly number[];
    readonly isJson: boolean;
  },
): number {
  const differences = results.flatMap((result) => result.differences);
  const more = results.reduce((sum, result) => sum + result.moreDifferences, 0);
  const ledgers = results.flatMap(({ ledger }): Ledger[] => ledger === null ? [] : [ledger]);
  const ledger = sumLedgers(ledgers);
  const isWrong = ledgers.some((each) => ledgerDifference(each) !== 0);
  const areTopicsRight = differences.length === 0 && !isWrong;
  const areTablesRight = compared === null ||
    compared.differences.length + compared.tables.findings.length === 0;
  const unwritten = compared === null ? [] : unwrittenPartitions(compared.tables, results);
  const deleted = results.filter(({ deletedBefore }) => deletedBefore > 0);
  const notCompared = [
    ...new Set([
      ...unread,
      ...unwritten,
      ...deleted.map(({ partition }) => partition),
      ...compared?.tables.notCompared ?? [],
    ]),
  ];
  const areAllThere = unread.length === 0 && unwritten.length === 0;
  const shared = sharedMeters(results);
  if (isJson) {
    const answer: TopicsVerified = {
      balanced: areTopicsRight && areTablesRight && areAllThere && outcomeOf([], notCompared),
      ledger,
      partitions: results.map(({ partition, rawRecords }) => ({ partition, raw: rawRecords })),
      differences,
      more_differences: more,
      not_compared: notCompared,
      history_deleted: deleted.map(({ partition, deletedBefore }) => ({
        ...{ partition, before_offset: deletedBefore },
      })),
      meters_in_several_partitions: shared.length,
      ...(compared === null ? {} : {
        tables: {
          ledger: compared.tables.ledger,
          ...rowsVerified(compared.tables, compared.differences),
        },
      }),
    };
    print(JSON.stringify(answer));
  }
  for (const difference of differences) sayDifference(difference);
  if (more > 0) say(`and ${formatCount(more)} more differences`);
  sayNotes({ shared, unread, unwritten, deleted });
  const verified = results.reduce((sum, { rawRecords }) => sum + rawRecords, 0);
  say(
    areTopicsRight
      ? sealOfTopics(ledger, { unread, verified })
      : "the outputs are not what the raw topic says",
  );
  if (compared !== null) {
    for (const line of describeTables(compared.tables, compared.differences)) say(line);
    const behind = ledger.raw - compared.tables.ledger.raw;
    if (behind > 0) say(`the sinks are ${formatCount(behind)} raw records behind the processors`);
  }
  return areTopicsRight && areTablesRight && areAllThere ? 0 : 3;
}

/** What people should know of what was compared, and what was not. */
function sayNotes({ shared, unread, unwritten, deleted }: {
  readonly shared: readonly string[];
  readonly unread: readonly number[];
  readonly unwritten: readonly number[];
  readonly deleted: readonly PartitionVerified[];
}): void {
  if (shared.length > 0) {
    const named = shared.slice(0, METERS_SHOWN_MAX).join(", ");
    say(
      `warning: ${formatCount(shared.length)} meters have readings in more than one partition, ` +
        `each judged by itself there: ${named}${shared.length > METERS_SHOWN_MAX ? ", …" : ""}`,
    );
  }
  sayMissing(unread, unwritten);
  for (const { partition, deletedBefore } of deleted) {
    say(
      `partition ${partition} is not compared: its raw records before offset ` +
        `${formatCount(deletedBefore)} are deleted (retention.ms of the raw topic)`,
    );
  }
}

function sayDifference(difference: LogDifference): void {
  const { partition, topic, inputOffset, problem, expected, found } = difference;
  const place = inputOffset === null ? "" : `, raw offset ${inputOffset}`;
  say(`partition ${partition}, ${topic}${place}: ${problem}`);
  if (expected !== null) say(`  expected ${expected}`);
  if (found !== null) say(`  found    ${found}`);
}

function sayMissing(unread: readonly number[], unwritten: readonly number[]): void {
  for (const partition of unread) {
    say(`partition ${partition} is missing: it has raw records, and nothing of it is processed`);
  }
  for (const partition of unwritten) {
    say(`partition ${partition} is missing in the tables: nothing of it is written there`);
  }
  if (unread.length === 0 && unwritten.length === 0) return;
  say("hint: are `gridwatch process` and `gridwatch sink` running, for these topics and database?");
}

/** Partitions that have outputs, of which the tables have nothing. */
function unwrittenPartitions(
  { partitions }: Tables,
  results: readonly PartitionVerified[],
): number[] {
  return results.filter(({ partition, ledger }) => ledger !== null && !partitions.has(partition))
    .map(({ partition }) => partition);
}

function sealOfTopics(
  { raw }: Ledger,
  { unread, verified }: { readonly unread: readonly number[]; readonly verified: number },
): string {
  if (raw === 0) return "nothing to verify: no raw record is processed yet";
  if (verified === 0) return "nothing is verified: raw records are deleted in every partition";
  const scope = unread.length === 0 ? "verified" : "verified as far as it is processed";
  return `${scope}: ${formatCount(verified)} raw records, each with one disposition, and every ` +
    "output as it must be";
}

function sharedMeters(results: readonly PartitionVerified[]): string[] {
  const seen = new Set<string>();
  const shared = new Set<string>();
  for (const { meterIds } of results) {
    for (const id of meterIds) {
      if (seen.has(id)) shared.add(id);
      else seen.add(id);
    }
  }
  return [...shared].sort();
}
