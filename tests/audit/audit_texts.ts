/** Files from their text to what the audit answers, by the defaults that users have. */
import type { Zone } from "../../src/core/zone.ts";
import { idOf, type SeriesVisitor } from "../../src/audit/audit.ts";
import { type Audited, auditFiles } from "../../src/audit/audit_files.ts";
import { judgedAs } from "../../src/judging.ts";
import { findFiles, meterFiles } from "../../src/setup/meter_files.ts";
import { readConfig, variableOf } from "../../src/config.ts";
import { processorOptions } from "../../src/judging.ts";
import type { Key } from "../../src/settings.ts";
import { type Played, playFiles } from "../field/play.ts";
import { inDirectory, writeFiles } from "../replay/fixture.ts";

export const NOW_MS = Date.parse("2026-06-01T00:00:00Z");

export type Settings = Partial<Record<Key, string>>;

/** Audits files that are there. */
export async function auditPaths(
  paths: readonly string[],
  settings: Settings = {},
  target = 100,
  visit?: (...seen: [...Parameters<SeriesVisitor>, Zone]) => void,
): Promise<Audited> {
  const byVariable = new Map(
    Object.entries(settings).map(([key, value]) => [variableOf(key), value]),
  );
  const found = await findFiles(paths, { columns: {} });
  const config = judgedAs(readConfig(null, (name) => byVariable.get(name)), found);
  const judging = processorOptions(config, 0, NOW_MS);
  return await auditFiles(found.paths, {
    files: meterFiles,
    formats: found.formats,
    judging,
    visit: (audited, readings) => visit?.(audited, readings, judging.zone),
    nowMs: NOW_MS,
    decided: found.decided,
    target,
  });
}

/** Audits files given by their text. */
export function auditTexts(
  texts: readonly string[],
  ...said: [settings?: Settings, target?: number, visit?: Parameters<typeof auditPaths>[3]]
): Promise<Audited> {
  return inDirectory((directory) => auditPaths(writeFiles(directory, texts), ...said));
}

/** What is to be equal of an audit and of a run. */
export type Agreed = {
  /** `meter 2013-01-01T00:00:00.000Z 2013-01-01T01:00:00.000Z 2`. */
  readonly gaps: readonly string[];
  /** An audit has no such: only where a run has none either, both are to agree. */
  readonly tooLate: number;
  readonly accepted: number;
  readonly identical: number;
  readonly conflicting: number;
  readonly rejected: Readonly<Record<string, number>>;
};

const gapText = (meter: string, fromMs: number, toMs: number, count: number) =>
  `${meter} ${new Date(fromMs).toISOString()} ${new Date(toMs).toISOString()} ${count}`;

const sorted = (counts: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(counts).sort(([a], [b]) => a < b ? -1 : 1));

/** What an audit found of these. */
export function agreedOfAudit({ answer, sum }: Audited): Agreed {
  return {
    gaps: sum.series.flatMap((one) =>
      (one.walk?.gaps ?? []).map(({ fromMs, toMs, count }) =>
        gapText(idOf(one), fromMs, toMs, count)
      )
    ).sort(),
    tooLate: 0,
    accepted: answer.accepted,
    ...answer.duplicates,
    rejected: sorted(answer.rejected),
  };
}

/** What a run found of these: gaps that a reading has ended. */
export function agreedOfRun({ alerts, counts }: Played): Agreed {
  const { OK = 0, LATE = 0, TOO_LATE = 0, DUPLICATE = 0, CONFLICT = 0, ...rejected } = counts;
  return {
    tooLate: TOO_LATE,
    gaps: [...alerts.values()].filter(({ state }) => state === "CLOSED").map((alert) =>
      gapText(alert.meterId, alert.missingFromMs, alert.missingToMs, alert.missingIntervals)
    ).sort(),
    accepted: OK + LATE,
    identical: DUPLICATE,
    conflicting: CONFLICT,
    rejected: sorted(rejected),
  };
}

/** Both ways for the same files. */
export function bothWays(
  texts: readonly string[],
  settings: Settings = {},
): Promise<{ readonly audit: Agreed; readonly run: Agreed }> {
  return inDirectory((directory) => bothWaysOf(writeFiles(directory, texts), directory, settings));
}

/** The same for files that are there. */
export async function bothWaysOf(
  paths: readonly string[],
  directory: string,
  settings: Settings = {},
): Promise<{ readonly audit: Agreed; readonly run: Agreed }> {
  const found = await findFiles(paths, { columns: {} });
  const { timezone, "validation.min_timestamp": oldest } = judgedAs(
    readConfig(null, () => undefined),
    found,
  );
  const said = { timezone, "validation.min_timestamp": oldest };
  const played = await playFiles(found.paths, {
    settings: { watermark_scope: "meter", ...said, ...settings },
    temporaryDirectory: `${directory}/spill`,
    replay: { files: meterFiles, formats: found.formats },
  });
  return {
    audit: agreedOfAudit(await auditPaths(paths, settings)),
    run: agreedOfRun(played),
  };
}
