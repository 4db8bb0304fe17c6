import assert from "node:assert/strict";
import {
  DASHBOARDS,
  dashboards,
  rangeOf,
  watchDashboards,
  writeDashboards,
} from "../../src/commands/dashboards.ts";
import { RunError, UsageError } from "../../src/console/errors.ts";
import { NAMES } from "../grafana/dashboards.ts";

const NOW_MS = Date.UTC(2026, 0, 10, 12);
const DAY_MS = 86_400_000;
const LIVE = { from: "now-7d", to: "now" };

Deno.test("rangeOf() follows live data, and goes to an archive's last four weeks", () => {
  assert.deepEqual(rangeOf(null, NOW_MS), LIVE);
  assert.deepEqual(rangeOf(NOW_MS - 60_000, NOW_MS), LIVE);
  assert.deepEqual(rangeOf(NOW_MS + 60_000, NOW_MS), LIVE);
  assert.deepEqual(rangeOf(NOW_MS - 2 * DAY_MS + 1, NOW_MS), LIVE);
  assert.deepEqual(rangeOf(Date.UTC(2014, 0, 25, 23, 45), NOW_MS), {
    from: "2013-12-29T00:00:00.000Z",
    to: "2014-01-26T00:00:00.000Z",
  });
  const midnight = Date.UTC(2014, 0, 26);
  assert.equal(rangeOf(midnight, NOW_MS).to, "2014-01-26T00:00:00.000Z");
});

/** Works in a folder that is gone afterwards. */
async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-dashboards-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const read = async (path: string) => JSON.parse(await Deno.readTextFile(path));

Deno.test("writeDashboards() writes those of grafana/, but for the range", async () => {
  await inFolder(async (folder) => {
    const time = { from: "2013-12-29T00:00:00.000Z", to: "2014-01-26T00:00:00.000Z" };
    await writeDashboards(`${folder}/new`, time);
    const names = Array.from(Deno.readDirSync(`${folder}/new`), ({ name }) => name).sort();
    assert.deepEqual(names, NAMES.map((name) => `${name}.json`));
    for (const name of names) {
      const shipped = await read(
        new URL(`../../grafana/dashboards/${name}`, import.meta.url).pathname,
      );
      assert.deepEqual(shipped.time, LIVE, name);
      assert.deepEqual(await read(`${folder}/new/${name}`), { ...shipped, time });
    }
  });
});

Deno.test("writeDashboards() tells of a folder that it cannot write to", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    await assert.rejects(() => writeDashboards(`${folder}/file/x`, LIVE), RunError);
  });
});

Deno.test("watchDashboards() writes when the data moved, and stands while nobody answers", async () => {
  await inFolder(async (folder) => {
    const away = new RunError("Cannot use the database: refused");
    const archive = Date.UTC(2014, 0, 25);
    const answers: (number | null | RunError)[] = [
      away,
      null,
      archive,
      archive + 1000,
      away,
      NOW_MS,
    ];
    const said: string[] = [];
    const seen: string[] = [];
    const stop = new AbortController();
    await watchDashboards({
      output: folder,
      newest: () => {
        const answer = answers.shift() ?? null;
        return answer instanceof RunError ? Promise.reject(answer) : Promise.resolve(answer);
      },
      watchMs: 1000,
      signal: stop.signal,
      clock: {
        nowMs: () => NOW_MS,
        sleep: async () => {
          seen.push((await read(`${folder}/system-health.json`)).time.from);
          if (answers.length === 0) stop.abort();
        },
      },
      tell: (text) => said.push(text.split(" ")[0]),
    });
    const old = ["2013-12-28T00:00:00.000Z", "2013-12-29T00:00:00.000Z"];
    assert.deepEqual(seen, ["now-7d", "now-7d", old[0], old[1], old[1], "now-7d"]);
    assert.deepEqual(said, ["warning:", "wrote", "wrote", "wrote", "warning:", "wrote"]);
  });
});

Deno.test("dashboards() is told where to write", async () => {
  assert.equal(Object.keys(DASHBOARDS).length, NAMES.length);
  await assert.rejects(() => dashboards([]), UsageError);
  await assert.rejects(() => dashboards(["--output", "x", "--watch", "0"]), UsageError);
});
