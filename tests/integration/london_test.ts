/** A year of 81 London meters: what users are told of it, whatever the order of its rows. */
import assert from "node:assert/strict";
import { assertAnswer } from "../schemas.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";

const ARCHIVE = new URL(
  "../../../shared/data/london/london_2013_81meters.tar.xz",
  import.meta.url,
).pathname;
const hasLondon = await Deno.stat(ARCHIVE).then(() => true, () => false);

type File = { readonly name: string; readonly header: string; readonly rows: string[] };

async function unpack(folder: string): Promise<File[]> {
  const { code } = await new Deno.Command("tar", { args: ["-xJf", ARCHIVE, "-C", folder] })
    .output();
  assert.equal(code, 0);
  const names = [...Deno.readDirSync(`${folder}/london_2013`)].map(({ name }) => name).sort();
  return names.map((name) => {
    const text = Deno.readTextFileSync(`${folder}/london_2013/${name}`);
    const [header, ...rows] = text.trimEnd().split("\n");
    return { name, header, rows };
  });
}

/** The same rows, written down in other ways. */
const FORMS: Readonly<Record<string, (files: readonly File[]) => string[]>> = {
  "file by file": (files) => files.map(({ header, rows }) => [header, ...rows].join("\n") + "\n"),
  "newest first, one file behind another with its header": (files) => [
    files.map(({ header, rows }) => [header, ...rows.toReversed()].join("\n") + "\n").join(""),
  ],
  "interleaved": (files) => {
    const most = Math.max(...files.map(({ rows }) => rows.length));
    const lines = [files[0].header];
    for (let r = 0; r < most; r++) {
      for (const { rows } of files) if (r < rows.length) lines.push(rows[r]);
    }
    return [lines.join("\n") + "\n"];
  },
  "shuffled": (files) => {
    const rows = files.flatMap((file) => file.rows);
    // 7919 has no part in common with their number: each row is taken once.
    assert.notEqual(rows.length % 7919, 0);
    const lines = rows.map((_, r) => rows[(r * 7919) % rows.length]);
    return [[files[0].header, ...lines].join("\n") + "\n"];
  },
};

/** As the specification finds them (tests/specification/validation/). */
const INCIDENTS = [
  "incident_id,state,meters,expected,needed",
  "fleet@2013-02-10T22:00:00Z,CLOSED,5,81,3",
  "fleet@2013-02-25T12:30:00Z,CLOSED,5,81,3",
  "fleet@2013-03-15T16:00:00Z,CLOSED,3,81,3",
  "fleet@2013-03-23T04:30:00Z,CLOSED,4,81,3",
  "fleet@2013-04-04T17:30:00Z,CLOSED,4,81,3",
  "fleet@2013-04-17T12:30:00Z,CLOSED,5,81,3",
  "fleet@2013-05-29T14:30:00Z,CLOSED,3,80,3",
  "fleet@2013-05-31T08:00:00Z,CLOSED,5,80,3",
  "fleet@2013-07-28T12:30:00Z,CLOSED,5,78,3",
  "fleet@2013-08-31T01:30:00Z,CLOSED,3,78,3",
  "fleet@2013-09-05T15:00:00Z,CLOSED,4,78,3",
  "fleet@2013-09-24T21:00:00Z,CLOSED,3,78,3",
  "fleet@2013-10-04T21:30:00Z,CLOSED,4,77,3",
  "fleet@2013-11-10T16:30:00Z,CLOSED,4,74,3",
  "fleet@2013-12-19T06:00:00Z,CLOSED,4,74,3",
  "",
].join("\n");

const RUNS = [
  ["file by file"],
  ["newest first, one file behind another with its header", "--partitions", "3"],
  ["interleaved", "--scope", "meter"],
  ["shuffled", "--scope", "meter", "--partitions", "3"],
] as const;

Deno.test({
  name: "run tells of London's year its gaps, its silent meters and how complete it is",
  ignore: !hasLondon,
  fn: async (t) => {
    await inFolder(async (folder) => {
      const files = await unpack(folder);
      let first: string | null = null;
      for (const [n, [form, ...options]] of RUNS.entries()) {
        await t.step(`${form} ${options.join(" ")}`, async () => {
          const paths = FORMS[form](files).map((text, f) => {
            const path = `${folder}/${n}-${f}.csv`;
            Deno.writeTextFileSync(path, text);
            return path;
          });
          const store = ["--data", `${folder}/store${n}`];
          const run = await gridwatch("run", ...paths, ...store, ...options, "--exit", "--json");
          assert.equal(run.code, 0, run.stderr);
          const answer = JSON.parse(run.stdout);
          await assertAnswer("run.json", answer);
          assert.equal(answer.meters, 81);
          assert.deepEqual(answer.gaps.CLOSED, { gaps: 163, missing_intervals: 295 });
          assert.deepEqual(
            [answer.silent_meters, answer.silent_intervals],
            [7, 47_132],
          );
          assert.equal(answer.completeness_percent, 96.658);
          assert.equal(answer.completeness_reporting_percent, 99.978);
          assert.equal(answer.validation_records, 68);
          assert.deepEqual(
            answer.validation_by_rule,
            { SPIKE: 12, HIGH_DAY: 9, LOW_DAY: 33, ZERO_RUN: 6, STUCK: 8 },
          );
          assert.match(
            run.stderr,
            /^completeness: 96\.658 %, 99\.978 % of the 74 meters that report; 7 silent \(47,132 /m,
          );
          const sql = "SELECT gap_id, state, missing_from, missing_to, missing_intervals, " +
            "known_intervals FROM gap_status ORDER BY gap_id";
          const { stdout } = await gridwatch("query", sql, "--csv", ...store);
          first ??= stdout;
          assert.ok(stdout === first, "other gaps than file by file");
          const shared = "SELECT incident_id, state, meters, expected, needed FROM incidents " +
            "ORDER BY slot_ms";
          const { stdout: incidents } = await gridwatch("query", shared, "--csv", ...store);
          assert.equal(incidents, INCIDENTS);
        });
      }
    });
  },
});
