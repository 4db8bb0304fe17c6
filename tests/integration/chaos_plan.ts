import { createRandom, type Random, randomInteger } from "../../src/generate/random.ts";

/** What happens, and how long after what happened before. */
export type Action =
  & { readonly afterMs: number }
  & (
    /** SIGKILL of a processor; another is started a while later. */
    | { readonly kind: "kill"; readonly target: number; readonly againMs: number }
    /** SIGSTOP for longer than the session timeout, then SIGCONT: a zombie. */
    | { readonly kind: "freeze"; readonly target: number; readonly forMs: number }
    /** SIGTERM, and another. */
    | { readonly kind: "terminate"; readonly target: number }
    | { readonly kind: "add" }
    /** SIGKILL of the replay; it is run again. */
    | { readonly kind: "kill replay" }
    | { readonly kind: "kill broker"; readonly target: number; readonly againMs: number }
    | { readonly kind: "cut" }
    /** A live reading of a producer whose clock runs ahead: that one alone is FUTURE. */
    | { readonly kind: "clock"; readonly partition: number; readonly aheadMs: number }
    | { readonly kind: "delay"; readonly delayMs: number; readonly forMs: number }
  );

export const SESSION_TIMEOUT_MS = 2000;
const HOUR_MS = 3_600_000;
const CLOCKS = 1_000_000;
/** About so many other actions to each clock that is ahead. */
const CLOCK_EVERY = 6;
/** A broker needs its time to come back. */
const BROKER_EVERY_MS = 14_000;

/** What a seed does in so much time: always the same. */
export function chaosPlan(seed: number, durationMs: number): Action[] {
  const random = createRandom(seed);
  /** Of their own, so that what a seed kept did before is what it does. */
  const clocks = createRandom(seed + CLOCKS);
  const plan: Action[] = [];
  let brokerAtMs = randomInteger(random, 4000, 9000);
  for (let atMs = 0;;) {
    const afterMs = randomInteger(random, 300, 2000);
    atMs += afterMs;
    if (atMs > durationMs) return plan;
    if (atMs < brokerAtMs) plan.push({ afterMs, ...drawAction(random) });
    else {
      const againMs = randomInteger(random, 0, 2500);
      plan.push({ afterMs, kind: "kill broker", target: plan.length, againMs });
      brokerAtMs = atMs + BROKER_EVERY_MS;
    }
    if (randomInteger(clocks, 0, CLOCK_EVERY) > 0) continue;
    const aheadMs = randomInteger(clocks, 2, 5000) * HOUR_MS;
    plan.push({ afterMs: 0, kind: "clock", partition: plan.length, aheadMs });
  }
}

/** Distributes over the kinds without `afterMs`. */
type Drawn = Action extends infer A ? A extends Action ? Omit<A, "afterMs"> : never : never;

function drawAction(random: Random): Drawn {
  const target = randomInteger(random, 0, 9);
  switch (randomInteger(random, 0, 14)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
      return { kind: "kill", target, againMs: randomInteger(random, 0, 1500) };
    case 6:
    case 7:
      return {
        ...{ kind: "freeze", target },
        forMs: SESSION_TIMEOUT_MS + randomInteger(random, 500, 2500),
      };
    case 8:
      return { kind: "terminate", target };
    case 9:
      return { kind: "add" };
    case 10:
      return { kind: "kill replay" };
    case 11:
    case 12:
      return { kind: "cut" };
    default:
      return {
        kind: "delay",
        delayMs: randomInteger(random, 10, 400),
        forMs: randomInteger(random, 500, 2500),
      };
  }
}
