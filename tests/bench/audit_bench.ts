/*
 * `gridwatch audit --json` beside DuckDB, which counts the same in one pass: whole processes, measured
 * from outside by GNU time, in turns.
 */

const ROOT = new URL("../../", import.meta.url).pathname;
const LONDON = new URL("../../../shared/data/london/london_2013_81meters.tar.xz", import.meta.url);
const MILLIONS = Number(Deno.env.get("GRIDWATCH_BENCH_MILLIONS") ?? 20);
const SERIES = 1000;
const HALF_HOUR_MS = 1_800_000;
/** Of so many places one has no reading, and another one twice. */
const DEFECT_EVERY = 50_021;
const FLUSH_BYTES = 1 << 22;

/** The London year in 81 files, then 20 million rows grouped by series, and in time order. */
export async function benchAudit(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-bench-" });
  try {
    await benchLondon(folder);
    for (const order of ["grouped", "in time order"] as const) {
      const path = `${folder}/fleet.csv`;
      writeFleet(path, order);
      await compare(`${MILLIONS} million rows, ${order}`, [path], path);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function benchLondon(folder: string): Promise<void> {
  const { success } = await new Deno.Command("tar", {
    args: ["xJf", LONDON.pathname, "-C", folder],
    stderr: "null",
  }).output();
  if (!success) return console.log(`audit: the London year is left out: no ${LONDON.pathname}`);
  const directory = `${folder}/london_2013`;
  const paths = [...Deno.readDirSync(directory)].map(({ name }) => `${directory}/${name}`).sort();
  await compare("the London year, 81 files", paths, `${directory}/*.csv`);
  const shuffled = `${folder}/shuffled.csv`;
  shuffle(paths, shuffled);
  await compare("the London year, shuffled", [shuffled], shuffled);
}

/** All rows of the files in an order of chance that is the same each time. */
function shuffle(paths: readonly string[], path: string): void {
  const files = paths.map((each) => Deno.readTextFileSync(each).trimEnd().split("\n"));
  const rows = files.flatMap(([, ...rest]) => rest);
  let random = 1;
  for (let r = rows.length - 1; r > 0; r--) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    const other = random % (r + 1);
    [rows[r], rows[other]] = [rows[other], rows[r]];
  }
  Deno.writeTextFileSync(path, `${files[0][0]}\n${rows.join("\n")}\n`);
}

/** London-shaped rows: padded values, times with a space, some left out and some twice. */
function writeFleet(path: string, order: "grouped" | "in time order"): void {
  const file = Deno.openSync(path, { write: true, create: true, truncate: true });
  const encoder = new TextEncoder();
  const count = MILLIONS * 1e6 / SERIES;
  const startMs = Date.UTC(2012, 0, 1);
  const times = Array.from(
    { length: count },
    (_, t) => new Date(startMs + t * HALF_HOUR_MS).toISOString().slice(0, 19).replace("T", " "),
  );
  let text = "LCLid,tstp,energy(kWh/hh)\n";
  let random = 1;
  const put = (series: number, t: number) => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    const place = (series * count + t) % DEFECT_EVERY;
    const kwh = ((random >>> 8) % 2000 / 1000).toFixed(3);
    const row = `MAC${String(series).padStart(6, "0")},${times[t]}, ${kwh} \n`;
    if (place !== 7) text += place === 11 ? row + row : row;
    if (text.length < FLUSH_BYTES) return;
    file.writeSync(encoder.encode(text));
    text = "";
  };
  for (let n = 0; n < SERIES * count; n++) {
    if (order === "grouped") put(Math.floor(n / count), n % count);
    else put(n % SERIES, Math.floor(n / SERIES));
  }
  file.writeSync(encoder.encode(text));
  file.close();
}

async function compare(what: string, paths: readonly string[], pattern: string): Promise<void> {
  console.log(what);
  const audit = await measure(["run", "-A", `${ROOT}cli.ts`, "audit", "--json", ...paths]);
  const { rows, duplicates, gaps, missing_intervals } = JSON.parse(audit.stdout);
  const { identical, conflicting } = duplicates;
  const found = [rows, identical, conflicting, gaps, missing_intervals].join(" ");
  console.log(`  gridwatch audit    ${said(audit)}`);
  for (const threads of ["1", "2"]) {
    const script = `${ROOT}tests/bench/audit_duckdb.ts`;
    const duckdb = await measure(["run", "-A", script, pattern, threads]);
    const share = (audit.cpuSeconds / duckdb.cpuSeconds).toFixed(2);
    const isSame = duckdb.stdout.trim() === found ? "the same counts" : `OTHER: ${duckdb.stdout}`;
    console.log(`  DuckDB, ${threads} thread(s) ${said(duckdb)}  audit: ${share} of it; ${isSame}`);
  }
}

type Measured = { readonly cpuSeconds: number; readonly mib: number; readonly stdout: string };

const said = ({ cpuSeconds, mib }: Measured) =>
  `${cpuSeconds.toFixed(2).padStart(6)} CPU s ${mib.toFixed(0).padStart(5)} MiB`;

/** A process of this Deno, by GNU time: seconds of the user and of the system, most KiB resident. */
async function measure(args: readonly string[]): Promise<Measured> {
  const { stdout, stderr } = await new Deno.Command("/usr/bin/time", {
    args: ["-f", "%U %S %M", Deno.execPath(), ...args],
    cwd: ROOT,
  }).output();
  const lines = new TextDecoder().decode(stderr).trimEnd().split("\n");
  const [user, system, kib] = lines[lines.length - 1].split(" ").map(Number);
  if (!(user >= 0)) throw new Error(lines.join("\n"));
  return {
    cpuSeconds: user + system,
    mib: kib / 1024,
    stdout: new TextDecoder().decode(stdout),
  };
}
