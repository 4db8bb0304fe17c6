import assert from "node:assert/strict";
import { findRegisters, newRising, noteMove } from "../../src/replay/rising.ts";

const HOUR_MS = 3_600_000;
/** A household's hours: from 0.1 to 1.1, up and down, the same for the same seed. */
const used = (hour: number) => 0.1 + ((hour * 7919 + hour * hour * 31) % 1000) / 1000;

/** Whether values an hour apart are found to be a register's, in the order that rows stand in. */
function isRegister(values: readonly number[], order = (n: number) => n): boolean {
  const rising = newRising(1);
  for (let n = 0; n < values.length; n++) {
    const hour = order(n);
    noteMove(rising, 2, hour * HOUR_MS, values[hour]);
  }
  return findRegisters(rising).includes(2);
}

function registerOf(hours: number, { resetHours = Infinity } = {}): number[] {
  let sum = 0;
  return Array.from({ length: hours }, (_, hour) => {
    if (hour % resetHours === 0) sum = 0;
    return sum += used(hour);
  });
}

Deno.test("findRegisters() finds values that nearly always rise, whichever way the rows run", () => {
  const register = registerOf(500);
  assert.ok(isRegister(register));
  assert.ok(isRegister(register, (n) => 499 - n));
  assert.ok(isRegister(register, (n) => (n * 7919) % 500));
  assert.ok(isRegister(register.map(Math.floor)), "most hours are like the one before");
});

Deno.test("findRegisters() finds a register that is reset now and then, or every day", () => {
  for (const resetHours of [24, 100, 250]) {
    assert.ok(isRegister(registerOf(500, { resetHours })), `every ${resetHours} hours`);
  }
});

Deno.test("findRegisters() takes no intervals for a register's values", () => {
  const hours = Array.from({ length: 500 }, (_, hour) => used(hour));
  assert.ok(!isRegister(hours));
  const sun = hours.map((_, hour) => Math.max(0, Math.sin((hour % 24 - 6) / 12 * Math.PI)));
  assert.ok(!isRegister(sun), "it rises as long as it falls");
  assert.ok(!isRegister(hours.map(() => 0.5)), "nothing moves");
  assert.ok(!isRegister(registerOf(23)), "a morning's rise is no register");
});
