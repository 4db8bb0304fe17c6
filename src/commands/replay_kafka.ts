import { formatSeconds } from "../core/duration.js";
import { playIntoLog } from "../engine/log/player.ts";
import { isTransient, LogError } from "../engine/log/ports.ts";
import { FencedError } from "../engine/ports.ts";
import { RunError } from "../console/errors.ts";
import { behindLines, readHeldTo } from "../setup/behind.ts";
import { breakableRecords, type Input, nameInput, openInput } from "../setup/input.ts";
import { sayFindings } from "../setup/input_findings.ts";
import {
  claimFiles,
  formatNote,
  readNote,
  readReplay,
  refuseOtherContent,
  writerId,
} from "../setup/replay_claim.ts";
import {
  checkTopics,
  DEADLINE_MS,
  type KafkaSetup,
  openKafka,
  reachKafka,
  writerOptions,
} from "../setup/kafka.ts";
import type { PlayOptions } from "../setup/embedded.ts";
import { formatCount } from "../console/progress.ts";
import {
  print,
  say,
  shellProgress,
  STOPPED_EXIT_CODE,
  stopSignal,
  systemClock,
} from "../console/shell.ts";

/** Records held, and with them memory, before they are committed. */
const BATCH_RECORDS_MAX = 50_000;

type Play = Omit<PlayOptions, "signal" | "live">;

/** Plays files into the raw topic; the same command goes on where it was cut off. */
export async function replayIntoKafka(play: Play, isJson: boolean): Promise<number> {
  const { config, command } = play;
  const stop = stopSignal(() => say("stopping: what was sent is kept"));
  const setup = await openKafka(config).catch((error) => {
    stop.release();
    throw error;
  });
  const temporaryDirectory = await Deno.makeTempDir({ prefix: "gridwatch-" });
  const startedAtMs = performance.now();
  try {
    await reachKafka(setup, { deadlineMs: DEADLINE_MS, signal: stop.signal });
    const played = await playThroughOutages(setup, play, {
      temporaryDirectory,
      signal: stop.signal,
    });
    const seconds = Math.round(performance.now() - startedAtMs) / 1000;
    const topic = setup.topics.raw;
    if (isJson) print(JSON.stringify({ topic, ...played, seconds }));
    if (!play.isSilent) {
      if (played.resumedAfter > 0) {
        say(`${formatCount(played.resumedAfter)} records were in ${topic} already`);
      }
      say(`${formatCount(played.sent)} records sent to ${topic} in ${formatSeconds(seconds)}`);
    }
    return played.isFinished ? 0 : STOPPED_EXIT_CODE;
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return STOPPED_EXIT_CODE;
    if (!(error instanceof FencedError)) throw error;
    const hint = "is it running elsewhere? If not, Kafka was away for longer than " +
      "kafka.transaction_timeout_ms: start it again, and it goes on where it stopped";
    throw new RunError(`Cannot ${command}: another has taken this replay over`, hint, {
      cause: error,
    });
  } finally {
    await setup.log.close();
    await Deno.remove(temporaryDirectory, { recursive: true });
    stop.release();
  }
}

/**
 * Plays, and waits for Kafka for as long as it is away: each attempt goes on behind what was committed.
 * Whoever is away is asked for `DEADLINE_MS` before that is an error: what fails sooner is another.
 */
async function playThroughOutages(
  setup: KafkaSetup,
  play: Play,
  { temporaryDirectory, signal }: { temporaryDirectory: string; signal: AbortSignal },
) {
  for (let attempt = 0;; attempt++) {
    const startedAtMs = performance.now();
    const folder = `${temporaryDirectory}/${attempt}`;
    await Deno.mkdir(folder);
    const isSilent = play.isSilent || attempt > 0;
    try {
      return await playIntoTopic(setup, { ...play, isSilent }, {
        temporaryDirectory: folder,
        signal,
      });
    } catch (error) {
      const isOutage = error instanceof LogError && isTransient(error) &&
        performance.now() - startedAtMs >= DEADLINE_MS;
      if (signal.aborted || !isOutage) throw error;
      say(`${error.message}: waiting for Kafka; what was sent is kept`);
      await reachKafka(setup, { deadlineMs: Infinity, signal });
    }
  }
}

/** Opens the input, with the clock of its first start, and plays it. */
async function playIntoTopic(
  setup: KafkaSetup,
  play: Play,
  { temporaryDirectory, signal }: { temporaryDirectory: string; signal: AbortSignal },
) {
  const { log, topics: { raw: topic }, config } = setup;
  const partitions = await countPartitions(setup, play);
  const options = { ...play, partitions, temporaryDirectory, signal, endsRecorded: true };
  const named = await nameInput(play.command, play.paths, options);
  const admin = log.admin({ deadlineMs: DEADLINE_MS });
  const prefix = `${setup.group}-replay-`;
  const group = `${prefix}${named.fingerprint.slice(0, 16)}`;
  const committer = (transactionalId: string) =>
    log.committer({
      ...writerOptions(config),
      transactionalId,
      transactionTimeoutMs: config["kafka.transaction_timeout_ms"],
    });
  const stored = await readReplay(log, { topic, partitions, group, admin, committer });
  const begun = readNote(stored);
  // The clock of its first start: which rows are dated ahead, and the ticks, depend on it.
  const nowMs = begun?.nowMs ?? play.nowMs ?? Date.now();
  const inputOptions = { ...options, nowMs };
  const input = await openInput(named, inputOptions);
  const claim = { command: play.command, topic, partitions, prefix, group, admin, committer };
  refuseOtherContent(begun, input, claim);
  if (!play.isSilent) sayFindings(input);
  if (stored === null) {
    await claimFiles(input, claim);
    if (!play.isSilent) await warnBehind(setup, input, partitions);
  }
  const progress = shellProgress({
    verb: "sending",
    rowsTotal: input.inspection?.rows ?? null,
    isSilent: play.isSilent,
  });
  const { records, throwIfBroken, ...broken } = breakableRecords(input, inputOptions);
  const played = await playIntoLog(records, {
    topic,
    partitions,
    group,
    admin,
    committer: (partition) => committer(writerId(group, partition)),
    batchRecordsMax: BATCH_RECORDS_MAX,
    replayStartMs: nowMs,
    note: formatNote({ nowMs, content: begun === null ? input.stream : begun.content }),
    commitIntervalMs: config.commit_interval_ms,
    ratePerSecond: play.ratePerSecond,
    clock: systemClock,
    signal: broken.signal,
    onProgress: progress.update,
  });
  progress.clear();
  await admin.close();
  throwIfBroken();
  return played;
}

/** @throws {RunError} when another number than the topics' was asked for */
async function countPartitions(setup: KafkaSetup, { command, ...play }: Play): Promise<number> {
  const { partitions } = await checkTopics(setup);
  if (play.partitions === null || play.partitions === partitions) return partitions;
  throw new RunError(
    `Cannot ${command} with --partitions="${play.partitions}": ` +
      `${setup.topics.raw} has ${partitions}`,
    "leave --partitions out",
  );
}

/** Says beforehand when readings will be late because the topic's clock is beyond them. */
async function warnBehind(setup: KafkaSetup, input: Input, partitions: number): Promise<void> {
  behindLines({
    firstMs: input.inspection?.firstEventTimeMs ?? null,
    heldToMs: await readHeldTo(setup, partitions),
    config: setup.config,
  }, {
    place: setup.topics.raw,
    wayOut:
      "name the newer files alone, give them topics of their own (kafka.topic_prefix), or set " +
      "watermark_scope: meter for the processors",
  }).forEach(say);
}
