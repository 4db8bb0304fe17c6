import { cpuUsage } from "node:process";

/** Wall and CPU seconds of a piece of work; CPU counts every thread of this process. */
export type Timing = { readonly wallSeconds: number; readonly cpuSeconds: number };

/** Times synchronous or asynchronous work. */
export async function time(work: () => void | Promise<void>): Promise<Timing> {
  const cpu = cpuUsage();
  const startedAt = performance.now();
  await work();
  const wallSeconds = (performance.now() - startedAt) / 1000;
  const { user, system } = cpuUsage(cpu);
  return { wallSeconds, cpuSeconds: (user + system) / 1e6 };
}

/** Prints one line: what, per second, CPU seconds a million, and what is asked for. */
export function printRate(what: string, count: number, timing: Timing, goal = ""): void {
  const rate = Math.round(count / timing.wallSeconds).toLocaleString("en-US");
  const cpu = (timing.cpuSeconds / count * 1e6).toFixed(2);
  console.log(
    `${what.padEnd(44)} ${rate.padStart(12)}/s  ${cpu.padStart(6)} CPU s a million  ${goal}`,
  );
}

/** Resident memory in MiB, after a collection, and one more that ends the sweep of the first. */
export function residentMib(): number {
  const { gc } = globalThis as { gc?: () => void };
  for (let round = 0; round < 2; round++) gc?.();
  return Math.round(Deno.memoryUsage().rss / 2 ** 20);
}
