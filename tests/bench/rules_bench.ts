import { Processor } from "../../src/core/processor.ts";
import { RULES } from "../../src/core/rules/rules.ts";
import { createRandom, hash32, randomInteger } from "../../src/generate/random.ts";
import { SEED_KINDS, type SeedKind, type Series } from "../../src/generate/seeding.ts";
import { DEFAULTS, SLOT_RULES } from "../core/harness.ts";
import { isPresent, readLondon } from "../specification/validation/london.ts";

/*
 * What the rules find of defects that are put into real meters: the share found of each kind. A defect
 * is found when a record of one of its rules touches it that was not there without it.
 */

const TRIES_A_METER = Number(Deno.env.get("GRIDWATCH_BENCH_TRIES") ?? 4);
const SEED = 1;
const SLOT_MS = 1_800_000;
const SLOTS_A_DAY = 48;
/** The days that the rules look back on and some more, and what they may need after. */
const DAYS_BEFORE = 30;
const DAYS_AFTER = 3;
const START_MS = Date.UTC(2013, 0, 1);
const OPTIONS = {
  ...DEFAULTS,
  watermarkScope: "meter" as const,
  negative: "flag" as const,
  expectedIntervalMs: SLOT_MS,
  rules: RULES,
  slotRules: SLOT_RULES,
};
const encoder = new TextEncoder();

/** Recall of every kind of seeded defect, over the London meters. */
export async function benchRules(): Promise<void> {
  if (!isPresent()) {
    console.log("rules: left out: the London meters are not there");
    return;
  }
  const meters = [...(await readLondon()).values()].map(({ startMs, mwh }) => {
    const toMidnight = (86_400_000 - startMs % 86_400_000) % 86_400_000 / SLOT_MS;
    return mwh.slice(toMidnight).map((value) => value === null ? null : value / 1e6);
  });
  console.log(
    `rules: ${meters.length} London meters, up to ${TRIES_A_METER} of each defect in each, ` +
      `seed ${SEED}\n  ${"defect".padEnd(28)}${"put in".padStart(8)}${"found".padStart(8)}` +
      `${"share".padStart(8)}  by`,
  );
  for (const [index, kind] of SEED_KINDS.entries()) {
    const { putIn, found } = recallOf(kind, { meters, seed: hash32(SEED, index) });
    const share = (found / putIn).toFixed(3);
    console.log(
      `  ${kind.name.padEnd(28)}${String(putIn).padStart(8)}${String(found).padStart(8)}` +
        `${share.padStart(8)}  ${kind.rules.join(", ") || "any rule; none can see it"}`,
    );
  }
}

function recallOf(
  kind: SeedKind,
  { meters, seed }: { readonly meters: readonly (number | null)[][]; readonly seed: number },
): { putIn: number; found: number } {
  let putIn = 0, found = 0;
  for (const [index, all] of meters.entries()) {
    const random = createRandom(hash32(seed, index));
    const days = Math.floor(all.length / SLOTS_A_DAY);
    if (days < 2 + DAYS_AFTER) continue;
    for (let attempt = 0; attempt < TRIES_A_METER; attempt++) {
      // Any day but the first: in the first week there is not enough to compare with.
      const day = randomInteger(random, 1, days - DAYS_AFTER - 1);
      const first = Math.max(0, day - DAYS_BEFORE);
      const clean = all.slice(first * SLOTS_A_DAY, (day + 1 + DAYS_AFTER) * SLOTS_A_DAY);
      const series: Series = { kwh: [...clean], slotsADay: SLOTS_A_DAY };
      const seeded = kind.seed(series, { day: day - first, random });
      if (seeded === null) continue;
      putIn++;
      const before = new Set(recordsOf(clean).map(({ key }) => key));
      const isFound = recordsOf(series.kwh).some(({ key, rule, from, slots }) =>
        !before.has(key) && from < seeded.to && from + slots > seeded.from &&
        (kind.rules.length === 0 || kind.rules.includes(rule))
      );
      if (isFound) found++;
    }
  }
  return { putIn, found };
}

type Record = {
  readonly key: string;
  readonly rule: string;
  readonly from: number;
  readonly slots: number;
};

/** What the core finds in a series. */
function recordsOf(kwh: readonly (number | null)[]): Record[] {
  const processor = new Processor(OPTIONS);
  let offset = 0;
  for (const [slot, value] of kwh.entries()) {
    if (value === null) continue;
    const timestampMs = START_MS + slot * SLOT_MS;
    processor.reading({ meterId: "M1", timestampMs, consumptionKwh: value, offset: offset++ });
  }
  const timestamp = new Date(START_MS + kwh.length * SLOT_MS).toISOString();
  const bytes = encoder.encode(`{"type":"tick","timestamp":"${timestamp}","final":true}`);
  processor.record({ bytes, start: 0, end: bytes.length, offset, timeMs: NaN, replayStartMs: NaN });
  const last = new Map<string, Record>();
  const { findings } = processor.takeOutputs();
  for (const { rule, fromMs, slots } of findings) {
    const from = (fromMs - START_MS) / SLOT_MS;
    last.set(`${rule} ${from}`, { key: `${rule} ${from} ${slots}`, rule, from, slots });
  }
  return [...last.values()];
}
