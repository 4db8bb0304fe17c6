import assert from "node:assert/strict";
import { join } from "node:path";
import { RunError, UsageError } from "../../src/console/errors.ts";
import { generate, type GeneratePorts, usage } from "../../src/commands/generate.ts";

type Heard = { ports: GeneratePorts; stdout: () => string; stderr: () => string };

/** Ports that keep what is written, and a clock that goes on by 40 ms each time it is read. */
function hear(over: Partial<GeneratePorts> = {}): Heard {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let stderr = "", clockMs = 0;
  const ports: GeneratePorts = {
    stdout: (bytes) => Promise.resolve(void chunks.push(bytes.slice())),
    say: (text) => void (stderr += `${text}\n`),
    draw: (text) => void (stderr += text),
    isTerminal: false,
    columns: () => 80,
    nowMs: () => clockMs += 40,
    ...over,
  };
  const stdout = () => chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
  return { ports, stdout, stderr: () => stderr };
}

async function inTempDir(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "gridwatch_generate_" });
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function namesIn(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

type Totals = Record<
  "raw" | "ok" | "late" | "too_late" | "duplicate" | "rejected" | "missing_intervals" | "gaps",
  number
>;
type Truth = {
  start: string;
  interval_minutes: number;
  readings: number;
  counts: Record<string, number>;
  expected: Totals;
  expected_without_ticks: Totals;
  // deno-lint-ignore no-explicit-any
  defects: any[];
};

/**
 * Semantics.md sections 2 to 4 over a file in order of arrival, as plainly as can be: the watermark
 * is the latest event time read, or with ticks the last whole minute before the arrival; a slot is
 * closed-missing when no usable reading took it and a later slot of its meter was taken.
 */
function countFile(csv: string, truth: Truth, hasTicks: boolean): Totals {
  const stepMs = truth.interval_minutes * 60_000;
  const totals: Totals = {
    raw: 0,
    ok: 0,
    late: 0,
    too_late: 0,
    duplicate: 0,
    rejected: 0,
    missing_intervals: 0,
    gaps: 0,
  };
  const taken = new Map<string, Set<number>>();
  let watermarkMs = -Infinity;
  for (const line of csv.trimEnd().split("\n").slice(1)) {
    const [meter, timestamp, value, receivedAt] = line.split(",");
    const timeMs = Date.parse(timestamp);
    const arrivedMs = receivedAt ? Date.parse(receivedAt) : timeMs;
    if (hasTicks) watermarkMs = Math.max(watermarkMs, Math.floor(arrivedMs / 60_000) * 60_000);
    if (!taken.has(meter)) taken.set(meter, new Set());
    const slot = (timeMs - Date.parse(truth.start)) / stepMs;
    totals.raw++;
    if (value.trim() === "" || !Number.isFinite(Number(value)) || Number(value) < 0) {
      totals.rejected++;
    } else if (watermarkMs - timeMs > 3_600_000) {
      totals.too_late++;
    } else if (taken.get(meter)!.has(slot)) {
      totals.duplicate++;
    } else {
      if (timeMs < watermarkMs) totals.late++;
      else totals.ok++;
      taken.get(meter)!.add(slot);
      watermarkMs = Math.max(watermarkMs, timeMs);
    }
  }
  for (const slots of taken.values()) {
    const sorted = [...slots].sort((a, b) => a - b);
    for (let i = 1; i < sorted.length; i++) {
      const missing = sorted[i] - sorted[i - 1] - 1;
      totals.missing_intervals += missing;
      if (missing > 0) totals.gaps++;
    }
  }
  return totals;
}

async function generateTruth(dir: string, args: string[]): Promise<{ csv: string; truth: Truth }> {
  const output = join(dir, "fleet.csv"), defects = join(dir, "fleet.json");
  const all = ["--output", output, "--defects", defects, "--force", ...args];
  assert.equal(await generate(all, hear().ports), 0);
  return {
    csv: await Deno.readTextFile(output),
    truth: JSON.parse(await Deno.readTextFile(defects)),
  };
}

/** Meters, days, minutes. */
const SIZES = [
  ["1", "1", "30"],
  ["1", "30", "1440"],
  ["2", "60", "30"],
  ["5", "5", "30"],
  ["5", "5", "1"],
  ["5", "6", "61"],
  ["9", "20", "240"],
  ["10", "7", "30"],
  ["100", "14", "30"],
];

Deno.test("generate() writes a truth equal to an independent count of its file, with ticks and without", async () => {
  await inTempDir(async (dir) => {
    for (const [meters, days, interval] of SIZES) {
      for (const seed of ["1", "2", "99"]) {
        const args = ["--meters", meters, "--days", days, "--interval", interval, "--seed", seed];
        const { csv, truth } = await generateTruth(dir, args);
        assert.deepEqual(countFile(csv, truth, true), truth.expected, args.join(" "));
        assert.deepEqual(
          countFile(csv, truth, false),
          truth.expected_without_ticks,
          args.join(" "),
        );
        assert.equal(truth.readings, truth.expected.raw);
      }
    }
  });
});

Deno.test("generate() lists each defect once, and the list adds up to its own counts", async () => {
  await inTempDir(async (dir) => {
    const { csv, truth } = await generateTruth(dir, ["--meters", "100", "--days", "14"]);
    const listed = Object.fromEntries(Object.keys(truth.counts).map((kind) => [kind, 0]));
    for (const { kind } of truth.defects) listed[kind]++;
    assert.deepEqual(listed, truth.counts);
    const of = (...kinds: string[]) => truth.defects.filter(({ kind }) => kinds.includes(kind));
    const gaps = of("missing", "short_gap", "outage", "group_outage");
    const slotsLost = of("negative", "unusable", "too_late").length;
    const inGaps = gaps.reduce((sum, { intervals }) => sum + intervals, 0);
    assert.equal(truth.expected.missing_intervals, inGaps + slotsLost);
    assert.equal(truth.expected.gaps, gaps.length + slotsLost);

    const lines = new Set(csv.split("\n"));
    for (const { meter_id, timestamp, value, received_at } of of("late", "too_late")) {
      assert.ok(lines.has(`${meter_id},${timestamp},${value.toFixed(3)},${received_at}`));
    }
    for (const { meter_id, timestamp, value } of of("conflict", "spike", "negative", "duplicate")) {
      assert.ok(lines.has(`${meter_id},${timestamp},${value.toFixed(3)},`));
    }
    for (const { meter_id, timestamp, value } of of("unusable")) {
      assert.ok(lines.has(`${meter_id},${timestamp},${value},`));
    }
    for (const { meter_id, from, to, intervals, value } of of("stuck")) {
      assert.equal((Date.parse(to) - Date.parse(from)) / 1_800_000, intervals);
      assert.ok(lines.has(`${meter_id},${from},${value.toFixed(3)},`));
    }
    for (const { meter_id, from } of [...gaps, ...of("churn")]) {
      assert.ok(!csv.includes(`${meter_id},${from},`));
    }
  });
});

Deno.test("generate() gives the same bytes, of readings and of truth, for the same options", async () => {
  await inTempDir(async (dir) => {
    const read = () =>
      [join(dir, "fleet.csv"), join(dir, "fleet.json")].map((p) => Deno.readTextFileSync(p));
    await generateTruth(dir, ["--seed", "5"]);
    const first = read();
    await generateTruth(dir, ["--seed", "5"]);
    assert.deepEqual(read(), first);
    await generateTruth(dir, ["--seed", "6"]);
    assert.notDeepEqual(read(), first);
  });
});

Deno.test("generate() --clean writes three columns, every slot once, and a truth without defects", async () => {
  await inTempDir(async (dir) => {
    const { csv, truth } = await generateTruth(dir, ["--meters", "3", "--days", "2", "--clean"]);
    const lines = csv.trimEnd().split("\n");
    assert.equal(lines[0], "meter_id,timestamp,consumption_kwh");
    assert.equal(lines.length, 1 + 3 * 2 * 48);
    assert.deepEqual(truth.defects, []);
    assert.equal(truth.expected.ok, 288);
    assert.equal(truth.expected.raw, 288);
  });
});

Deno.test("generate() begins at --start, read as UTC unless it has an offset", async () => {
  for (
    const [start, want] of [
      ["2013-03-31", "2013-03-31T00:00:00Z"],
      ["2013-03-31 10:00", "2013-03-31T10:00:00Z"],
      ["2013-03-31T10:00:00+02:00", "2013-03-31T08:00:00Z"],
    ]
  ) {
    const { ports, stdout } = hear();
    await generate(["--output", "-", "--meters", "1", "--days", "1", "--start", start], ports);
    assert.equal(stdout().split("\n")[1].split(",")[1], want);
  }
});

Deno.test("generate() makes missing folders, replaces an old file by force, and leaves nothing else behind", async () => {
  await inTempDir(async (dir) => {
    const output = join(dir, "a", "b", "fleet.csv");
    const { ports, stderr, stdout } = hear();
    assert.equal(await generate(["--output", output, "--days", "1"], ports), 0);
    const bytes = Deno.readTextFileSync(output);
    Deno.writeTextFileSync(output, "x".repeat(10 * bytes.length));
    assert.equal(await generate(["--output", output, "--force", "--days", "1"], ports), 0);
    assert.equal(Deno.readTextFileSync(output), bytes);
    assert.deepEqual(namesIn(join(dir, "a", "b")), ["fleet.csv"]);
    assert.equal(stdout(), "");
    assert.match(
      stderr(),
      /^wrote .*fleet\.csv: \d+ readings of 10 meters, every 30 min from 2024-01/,
    );
  });
});

Deno.test("generate() without --force leaves a file that is there, and says so", async () => {
  await inTempDir(async (dir) => {
    const own = join(dir, "own.csv"), link = join(dir, "link.csv"), fleet = join(dir, "fleet.csv");
    Deno.writeTextFileSync(own, "my readings");
    Deno.symlinkSync(own, link);
    for (
      const args of [["--output", own], ["--output", link], ["--output", fleet, "--defects", own]]
    ) {
      await assert.rejects(generate([...args, "--days", "1"], hear().ports), (error) => {
        assert.ok(error instanceof RunError);
        assert.match(error.message, /^Cannot write ".*": it is there already$/);
        assert.match(error.hint ?? "", /^--force /);
        return true;
      });
      assert.equal(Deno.readTextFileSync(own), "my readings");
      assert.deepEqual(namesIn(dir), ["link.csv", "own.csv"]);
    }
    assert.equal(await generate(["--output", "/dev/null", "--days", "1"], hear().ports), 0);
  });
});

Deno.test("generate() replaces the target of a link, and keeps the link", async () => {
  await inTempDir(async (dir) => {
    const target = join(dir, "target.csv"), link = join(dir, "link.csv");
    Deno.writeTextFileSync(target, "old");
    Deno.symlinkSync(target, link);
    await generate(["--output", link, "--force", "--days", "1", "--quiet"], hear().ports);
    assert.ok(Deno.lstatSync(link).isSymlink);
    assert.match(Deno.readTextFileSync(target), /^meter_id,/);
  });
});

Deno.test("generate() that cannot write says so, and leaves old files as they were", async () => {
  await inTempDir(async (dir) => {
    const output = join(dir, "fleet.csv"), file = join(dir, "file");
    Deno.writeTextFileSync(output, "old");
    Deno.writeTextFileSync(file, "");
    for (
      const [args, message] of [
        [["--output", output], /^Cannot write ".*": it is there already$/],
        [["--output", dir], /^Cannot write ".*": it is a directory$/],
        [["--output", join(file, "x.csv")], /^Cannot write ".*x\.csv": Not a directory$/],
        [
          ["--output", output, "--force", "--defects", dir],
          /^Cannot write ".*": it is a directory$/,
        ],
        [
          ["--output", output, "--force", "--defects", join(file, "x")],
          /^Cannot write ".*": Not a directory$/,
        ],
      ] as const
    ) {
      const failed = generate([...args], hear().ports);
      await assert.rejects(
        failed,
        (error) => error instanceof RunError && message.test(error.message),
      );
      assert.equal(Deno.readTextFileSync(output), "old");
      assert.deepEqual(namesIn(dir), ["file", "fleet.csv"]);
    }
  });
});

Deno.test("generate() --output - ends quietly when its reader goes away, unless the truth is wanted", async () => {
  await inTempDir(async (dir) => {
    const stdout = () => Promise.reject(new Deno.errors.BrokenPipe("Broken pipe"));
    const { ports, stderr } = hear({ stdout });
    assert.equal(await generate(["--output", "-"], ports), 0);
    assert.equal(stderr(), "");
    const withTruth = generate(["--output", "-", "--defects", join(dir, "truth.json")], ports);
    await assert.rejects(withTruth, RunError);
    assert.deepEqual(namesIn(dir), []);
  });
});

Deno.test("generate() --json prints one object on stdout, and --quiet nothing at all", async () => {
  await inTempDir(async (dir) => {
    const output = join(dir, "fleet.csv");
    const loud = hear({ isTerminal: true }), quiet = hear({ isTerminal: true });
    await generate(["--output", output, "--json"], loud.ports);
    const answer = JSON.parse(loud.stdout());
    assert.deepEqual(Object.keys(answer), ["output", "meters", "readings", "defects", "seconds"]);
    assert.equal(answer.readings, Deno.readTextFileSync(output).trimEnd().split("\n").length - 1);
    assert.equal(answer.defects.churn, 1);
    assert.equal(answer.seconds, 0.04);
    assert.ok(loud.stdout().endsWith("}\n") && !loud.stderr().includes("\r"));
    await generate(["--output", output, "--force", "--quiet"], quiet.ports);
    assert.equal(quiet.stdout() + quiet.stderr(), "");
  });
});

Deno.test("generate() shows progress on a terminal, and takes it away before the summary", async () => {
  await inTempDir(async (dir) => {
    const { ports, stderr } = hear({ isTerminal: true });
    await generate(["--output", join(dir, "fleet.csv"), "--meters", "100", "--days", "30"], ports);
    assert.match(stderr(), /^\rgenerating [\d,]+ of 14\d,\d{3} rows {2}\d+ %/);
    assert.match(stderr(), /\r +\rwrote /);
  });
});

Deno.test("generate() --help prints its usage, with every option in it", async () => {
  const { ports, stdout } = hear();
  assert.equal(await generate(["--help", "--meters", "0"], ports), 0);
  assert.equal(stdout(), usage);
  for (
    const option of ["output", "meters", "days", "interval", "start", "seed", "defects", "clean"]
  ) {
    assert.ok(usage.includes(`--${option} `), option);
  }
  assert.ok(usage.split("\n").every((line) => line.length <= 100));
});

Deno.test("generate() refuses options out of range before it touches a file", async () => {
  await inTempDir(async (dir) => {
    const output = join(dir, "fleet.csv");
    const wholeTo = (max: number) => `must be a whole number from 1 to ${max}`;
    for (
      const [args, message] of [
        [["--meters", "0"], `Cannot generate with --meters="0": ${wholeTo(1_000_000)}`],
        [["--meters", "1000001"], `Cannot generate with --meters="1000001": ${wholeTo(1_000_000)}`],
        [["--meters", "1.5"], `Cannot generate with --meters="1.5": ${wholeTo(1_000_000)}`],
        [["--meters", ""], `Cannot generate with --meters="": ${wholeTo(1_000_000)}`],
        [["--days=-1"], `Cannot generate with --days="-1": ${wholeTo(36_500)}`],
        [["--days", "36501"], `Cannot generate with --days="36501": ${wholeTo(36_500)}`],
        [["--interval", "1441"], `Cannot generate with --interval="1441": ${wholeTo(1440)}`],
        [
          ["--seed", "4294967296"],
          'Cannot generate with --seed="4294967296": must be a whole number',
        ],
        [["--seed", "0x10"], 'Cannot generate with --seed="0x10": must be a whole number from 0'],
        [
          ["--start", "01/02/2024"],
          'Cannot generate with --start="01/02/2024": must be an ISO 8601',
        ],
        [
          ["--start", "2024-02-30"],
          'Cannot generate with --start="2024-02-30": must be an ISO 8601',
        ],
        [["--start", "2024-01-01T00:00:00.5Z"], "Cannot generate with --start="],
        [["--start", "1969-12-31"], "Cannot generate with --start="],
        [["--start", "9999-12-31"], "Cannot generate with --start="],
        [
          ["--meters", "1000000", "--days", "30"],
          "Cannot generate 1,440,000,000 readings: must be at",
        ],
        [["--defects", output], "Cannot generate with --defects="],
        [["--defects", "-"], 'Cannot generate with --defects="-": must be a file of its own'],
        [["--defects", join(dir, "x", "..", "fleet.csv")], "Cannot generate with --defects="],
        [["--output", ""], 'Cannot generate with --output="": must be a file or -'],
        [["--output", "-", "--json"], "Cannot generate with --output=- and --json: both would be"],
        [["--meter", "3"], "Cannot generate: unknown option --meter"],
        [["--meters"], "Cannot generate: --meters needs a value"],
        [["fleet.csv"], 'Cannot generate: unexpected "fleet.csv"'],
      ] as const
    ) {
      await assert.rejects(generate(["--output", output, ...args], hear().ports), (error) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.equal(error.message.slice(0, message.length), message);
        return true;
      });
    }
    assert.deepEqual(namesIn(dir), []);
  });
});

Deno.test("generate() that is stopped ends with 130 and leaves no file", async () => {
  await inTempDir(async (dir) => {
    const heard = Promise.withResolvers<void>();
    const alive = setInterval(() => {}, 60_000); // listening alone does not keep a process up
    let chunks = 0;
    const stdout = () => {
      if (chunks++ === 0) {
        Deno.addSignalListener("SIGTERM", heard.resolve);
        Deno.kill(Deno.pid, "SIGTERM");
      }
      return heard.promise;
    };
    const { ports, stderr } = hear({ stdout });
    const args = ["--output", "-", "--defects", join(dir, "truth.json"), "--days", "400"];
    assert.equal(await generate([...args, "--quiet"], ports), 130);
    Deno.removeSignalListener("SIGTERM", heard.resolve);
    clearInterval(alive);
    assert.match(stderr(), /^stopped: no file was written\n$/);
    assert.deepEqual(namesIn(dir), []);
  });
});
