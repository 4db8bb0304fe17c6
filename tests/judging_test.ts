import assert from "node:assert/strict";
import { readConfig } from "../src/config.ts";
import { judgingFingerprint, processorOptions } from "../src/judging.ts";
import type { Setting } from "../src/setting.ts";
import { type Config, type Key, SETTINGS } from "../src/settings.ts";

const read = (text = "") => readConfig({ path: "c.yaml", text }, () => undefined);
const PLAIN = read();

/** Another value than the default, of the same type. */
function otherValue({ type, default: value, choices, min = 0 }: Setting): number | string {
  switch (type) {
    case "choice":
      return choices?.find((choice) => choice !== value) ?? "";
    case "time":
      return "2010-01-01";
    case "timezone":
      return "Europe/London";
    case "interval":
    case "tolerance":
      return value === 60 ? 15 : 60;
    case "threshold":
      return "off";
    case "number":
    case "integer":
      return value === min + 1 ? min + 2 : min + 1;
    case "text":
    case "secret":
      return "other";
    default:
      return type satisfies never;
  }
}

const optionsOf = (config: Config) => {
  const { intervalMsByMeter, ...rest } = processorOptions(config, 0, null);
  return JSON.stringify({ ...rest, meters: [...intervalMsByMeter] });
};

Deno.test("A setting is marked as judging where the core is told of it, and only there", async () => {
  const plain = await judgingFingerprint(PLAIN);
  for (const key of Object.keys(SETTINGS) as Key[]) {
    const setting: Setting = SETTINGS[key];
    const changed = { ...PLAIN, [key]: otherValue(setting) } as Config;
    assert.equal(optionsOf(changed) !== optionsOf(PLAIN), setting.judges === true, key);
    const { hash, values } = await judgingFingerprint(changed);
    assert.equal(hash !== plain.hash, setting.judges === true, key);
    assert.equal(values[key] === undefined, setting.judges !== true, key);
  }
});

Deno.test("judgingFingerprint() is of the meters' intervals, in whatever order they stand", async () => {
  const of = async (text: string) => await judgingFingerprint(read(text));
  const ab = await of("meters: {A: 30, B: 15}");
  assert.deepEqual(ab, await of("meters: {B: 15, A: 30}"));
  assert.equal(ab.values.meters, "A: 30, B: 15");
  assert.match(ab.hash, /^[0-9a-f]{16}$/);
  const others = ["", "meters: {A: 30}", "meters: {A: 15, B: 30}", "meters: {'A: 30, B': 15}"];
  const hashes = await Promise.all(others.map(async (text) => (await of(text)).hash));
  assert.equal(new Set([ab.hash, ...hashes]).size, others.length + 1);
});

Deno.test("judgingFingerprint() says of many meters how many, and tells one interval apart", async () => {
  const many = (minutes: number) => {
    const meters = new Map(Array.from({ length: 5000 }, (_, n) => [`M${n}`, 1_800_000]));
    return { ...PLAIN, meters: meters.set("M4321", minutes * 60_000) };
  };
  const [half, quarter] = [await judgingFingerprint(many(30)), await judgingFingerprint(many(15))];
  assert.match(half.values.meters, /^5000 meters, [0-9a-f]{16}$/);
  assert.notEqual(half.values.meters, quarter.values.meters);
  assert.notEqual(half.hash, quarter.hash);
});
