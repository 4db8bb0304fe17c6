import assert from "node:assert/strict";
import { ConfigError, readConfig, unknownVariables, variableOf } from "../src/config.ts";
import { SETTINGS } from "../src/settings.ts";

const read = (text: string, environment: Record<string, string> = {}) =>
  readConfig({ path: "c.yaml", text }, (name) => environment[name]);

/** All that a refusal says. */
function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return `${error.message} ${error.hint ?? ""}`;
    throw error;
  }
  throw new Error("it was not refused");
}

Deno.test("readConfig() never shows the value of a secret, however it is wrong", () => {
  const texts = [
    "kafka:\n  sasl_password: 12345678\n",
    "database:\n  url: [postgres://user:12345678@host/db]\n",
    "database:\n  url: {of: 12345678}\n",
    "grafana.token: 12345678\n",
    "database:\n  url: 'postgres://user:12345678@host/db\n",
    "grafana: {password: [12345678}\n",
    "grafana:\n  password: a: 12345678\n",
  ];
  for (const text of texts) {
    const said = refusalOf(() => read(text));
    assert.match(said, /^Cannot (use|read) [^\n]+$/);
    assert.doesNotMatch(said, /1234/);
  }
  assert.match(refusalOf(() => read("grace_period_seconds: x\n")), /grace_period_seconds .*="x"/);
});

Deno.test("readConfig() takes an empty variable for one that is not set", () => {
  const empty = Object.fromEntries(Object.keys(SETTINGS).map((key) => [variableOf(key), ""]));
  assert.deepEqual(read("grace_period_seconds: 60\n", empty), read("grace_period_seconds: 60\n"));
});

Deno.test("readConfig() takes an empty text where that is the default, and nowhere else", () => {
  assert.equal(read('kafka:\n  sasl_username: ""\n')["kafka.sasl_username"], "");
  assert.match(refusalOf(() => read('kafka:\n  brokers: ""\n')), /^Cannot use kafka.brokers/);
  assert.match(refusalOf(() => read("toString: 1\n")), /^Unknown setting toString/);
});

Deno.test("unknownVariables() names what looks like a setting and is none, with the nearest", () => {
  const cases: [name: string, meant: string | null | undefined][] = [
    ["GRIDWATCH_EXPECTED_INTERVAL", "GRIDWATCH_EXPECTED_INTERVAL_MINUTES"],
    ["GRIDWATCH_INTERVAL_MINUTES", "GRIDWATCH_EXPECTED_INTERVAL_MINUTES"],
    ["GRIDWATCH_TIMEZONES", "GRIDWATCH_TIMEZONE"],
    ["GRIDWATCH_MAX_KWH", "GRIDWATCH_VALIDATION_MAX_KWH"],
    ["GRIDWATCH_VALIDATION.MAX_KWH", "GRIDWATCH_VALIDATION_MAX_KWH"],
    ["gridwatch_timezone", "GRIDWATCH_TIMEZONE"],
    ["GRIDWATCH_METERS", "GRIDWATCH_METERS_MAX"],
    ["GRIDWATCH_XYLOPHONES", null],
    ["GRIDWATCH_", null],
    ["GRIDWATCH_TIMEZONE", undefined],
    ["GRIDWATCH_KAFKA_SASL_PASSWORD", undefined],
    ["GRIDWATCH_DB_PASSWORD", undefined], // Grafana's
    ["PATH", undefined],
  ];
  for (const [name, meant] of cases) {
    const expected = meant === undefined ? [] : [{ name, meant }];
    assert.deepEqual(unknownVariables([name, "HOME"]), expected, name);
  }
});

Deno.test("readConfig() knows which settings were given, wherever", () => {
  const yaml = { path: "x.yaml", text: "kafka:\n  group: gridwatch\n" };
  const environment: Record<string, string> = {
    GRIDWATCH_TIMEZONE: "UTC",
    GRIDWATCH_KAFKA_TLS: "",
  };
  const { given } = readConfig(yaml, (name) => environment[name]);
  assert.deepEqual([...given].sort(), ["kafka.group", "timezone"]);
});
