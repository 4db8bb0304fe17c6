import assert from "node:assert/strict";
import { UsageError } from "../../src/console/errors.ts";
import { withBrokers } from "../../src/setup/kafka.ts";
import { readConfig } from "../../src/config.ts";

Deno.test("withBrokers() refuses a list with nothing in a place", () => {
  const config = readConfig(null, () => undefined);
  for (const brokers of ["", " ", "a:1,", ",a:1", "a:1,,b:1"]) {
    assert.throws(() => withBrokers(config, brokers), UsageError, brokers);
  }
  assert.equal(withBrokers(config, "a:1, b:2")["kafka.brokers"], "a:1, b:2");
  assert.equal(withBrokers(config, undefined), config);
  assert.equal(config.given.has("kafka.brokers"), false);
  assert.equal(withBrokers(config, "a:1").given.has("kafka.brokers"), true);
});
