import { type Config, processorOptions } from "../config.ts";
import { type Ledger, ledgerDifference, sumLedgers } from "../core/ledger.ts";
import { type PartitionVerified, verifyPartition } from "../engine/log_verify.ts";
import { checkTopics, committedReader, DEADLINE_MS, openKafka, reachKafka } from "./kafka.ts";
import { formatCount } from "./progress.ts";
import { print, say, shellProgress, STOPPED_EXIT_CODE, stopSignal } from "./shell.ts";

const METERS_SHOWN_MAX = 10;

/** Recomputes everything from the raw topic and compares; the exit code is 3 on a difference. */
export async function verifyKafka(config: Config, isJson: boolean): Promise<number> {
  const stop = stopSignal(() => say("stopping"));
  const setup = await openKafka(config);
  const admin = setup.log.admin({ deadlineMs: DEADLINE_MS });
  try {
    await reachKafka(setup, { deadlineMs: DEADLINE_MS, signal: stop.signal });
    const partitions = await checkTopics(setup);
    const progress = shellProgress({
      verb: "verifying",
      rowsTotal: null,
      isSilent: isJson,
    });
    const results: PartitionVerified[] = [];
    let done = 0;
    for (let partition = 0; partition < partitions; partition++) {
      const result = await verifyPartition({
        partition,
        topics: setup.topics,
        processorOptions: processorOptions(config, partition, null),
        admin,
        openReader: () => committedReader(setup, { keys: true, origins: true }),
        signal: stop.signal,
        onProgress: (records) => progress.update(done + records),
      });
      done += result.rawRecords;
      results.push(result);
    }
    progress.clear();
    return report(results, isJson);
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return STOPPED_EXIT_CODE;
    throw error;
  } finally {
    await admin.close();
    await setup.log.close();
    stop.release();
  }
}

function report(results: readonly PartitionVerified[], isJson: boolean): number {
  const differences = results.flatMap((result) => result.differences);
  const more = results.reduce((sum, result) => sum + result.moreDifferences, 0);
  const ledgers = results.flatMap(({ ledger }): Ledger[] => ledger === null ? [] : [ledger]);
  const ledger = sumLedgers(ledgers);
  const isBalanced = differences.length === 0 && ledgerDifference(ledger) === 0;
  const shared = sharedMeters(results);
  if (isJson) {
    print(JSON.stringify({
      balanced: isBalanced,
      ledger,
      partitions: results.map(({ partition, rawRecords }) => ({ partition, raw: rawRecords })),
      differences,
      more_differences: more,
      meters_in_several_partitions: shared.length,
    }));
  }
  for (const { partition, topic, inputOffset, problem, expected, found } of differences) {
    const place = inputOffset === null ? "" : `, raw offset ${inputOffset}`;
    say(`partition ${partition}, ${topic}${place}: ${problem}`);
    if (expected !== null) say(`  expected ${expected}`);
    if (found !== null) say(`  found    ${found}`);
  }
  if (more > 0) say(`and ${formatCount(more)} more differences`);
  if (shared.length > 0) {
    const named = shared.slice(0, METERS_SHOWN_MAX).join(", ");
    say(
      `warning: ${formatCount(shared.length)} meters have readings in more than one partition, ` +
        `each judged by itself there: ${named}${shared.length > METERS_SHOWN_MAX ? ", …" : ""}`,
    );
  }
  if (!isBalanced) {
    say("the outputs are not what the raw topic says");
    return 3;
  }
  say(
    `verified: ${formatCount(ledger.raw)} raw records, each with one disposition, and every ` +
      "output as it must be",
  );
  return 0;
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
