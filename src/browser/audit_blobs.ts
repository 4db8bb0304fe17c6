import { auditFiles } from "../audit/audit_files.ts";
import { reportOf } from "../audit/html/report_html.ts";
import { newReportNotes, noteSeries } from "../audit/report_notes.ts";
import { judgedAs, processorOptions } from "../judging.ts";
import { findFiles } from "../replay/find_files.ts";
import { withArchives } from "../replay/packed_files.ts";
import { type Config, SETTINGS } from "../settings.ts";
import { decide } from "../formats/decided.ts";
import { blobFiles, type NamedBlob, type ReadBlob } from "./blob_files.ts";

/** What a person asks of files that they gave to a page. */
export type AuditRequest = {
  readonly files: readonly NamedBlob[];
  /** Of times without an offset, and of days; empty: as the format says, or UTC. */
  readonly timezone: string;
  /** Percent. */
  readonly target: number;
  /** What a file does not say itself, by its option: `decimal`, `date-order`, `meter-id` … */
  readonly said: Readonly<Record<string, string>>;
  readonly nowMs: number;
};

/** What came of it. */
export type AuditReply = {
  /** The report: a page that needs nothing else. */
  readonly html: string;
  /** The answer, as `gridwatch audit --json` prints it. */
  readonly json: string;
  /** What could not be read of the files. */
  readonly faults: readonly string[];
};

/**
 * Judges files that a person gave to a page, by the settings' defaults.
 *
 * @throws {ReadError} for the first that cannot be read
 */
export async function auditBlobs(
  { files: given, timezone, target, said, nowMs }: AuditRequest,
  { readBlob, onBytes }: { readBlob: ReadBlob; onBytes(bytes: number, rows: number): void },
): Promise<AuditReply> {
  const files = withArchives(blobFiles(given, readBlob));
  const named = given.map(({ name }) => name);
  const columns = {
    meter: said["meter-column"],
    time: said["time-column"],
    value: said["value-column"],
    channel: said["channel-column"],
  };
  const order = said["date-order"];
  const found = await findFiles(named, {
    columns,
    meterId: said["meter-id"],
    decimal: said.decimal === "," ? "comma" : said.decimal === "." ? "point" : undefined,
    dateOrder: order === "dmy" || order === "mdy" ? order : undefined,
  }, { files, quote: (word) => word });
  const config = judgedAs(defaultConfig(), found);
  const judging = processorOptions(timezone === "" ? config : { ...config, timezone }, 0, nowMs);
  const notes = newReportNotes();
  const zone = decide(judging.zone.name, timezone === "" ? "the default" : "given");
  const { decided } = found;
  const audited = await auditFiles(found.paths, {
    files,
    formats: found.formats,
    columns,
    judging,
    nowMs,
    decided: found.timezone === judging.zone.name ? decided : { ...decided, timezone: zone },
    target,
    onBlock: onBytes,
    visit: (series, readings) => noteSeries(notes, series, readings, judging.zone),
  });
  const facts = { ...audited, files: named, notes, target, maker: "Gridwatch, in a browser" };
  return {
    html: reportOf(facts),
    json: JSON.stringify(audited.answer),
    faults: audited.inspection.files.flatMap(({ path, faults }) =>
      faults.map((fault) => `${path}: ${fault}`)
    ),
  };
}

function defaultConfig(): Config {
  const defaults = Object.entries(SETTINGS).map(([key, setting]) => [key, setting.default]);
  // Rules of a user's own are files of theirs.
  const lists = { meters: new Map(), given: new Set(), ruleFiles: [], ownRules: [] };
  return { ...Object.fromEntries(defaults), ...lists } as unknown as Config;
}
