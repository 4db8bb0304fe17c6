import type { MeterTable } from "./meters.ts";

/** Takes the meters whose timers are due at a clock into `due`, oldest history first. */
export function takeDue(meters: MeterTable, clockMs: number, due: number[]): readonly number[] {
  due.length = 0;
  meters.timers.take(clockMs, due);
  return bySerial(meters, due);
}

/** Puts meters in the order in which their histories began, so that a restore changes none. */
export function bySerial({ serial }: MeterTable, indexes: number[]): readonly number[] {
  let sorted = true;
  for (let d = 1; d < indexes.length && sorted; d++) {
    sorted = serial[indexes[d - 1]] < serial[indexes[d]];
  }
  return sorted ? indexes : indexes.sort((a, b) => serial[a] - serial[b]);
}
