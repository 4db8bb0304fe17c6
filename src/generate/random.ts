/**
 * Seeded pseudo-random numbers. The same seed gives the same numbers on every machine: only 32-bit
 * integer arithmetic, no platform function. Not for secrets.
 */

/** A source of numbers uniform in [0, 1). */
export type Random = () => number;

/**
 * A generator (sfc32, from Chris Doty-Humphrey's PractRand) seeded by splitmix32, so that
 * neighbouring seeds give unrelated streams. Of `seed` the low 32 bits count.
 */
export function createRandom(seed: number): Random {
  let mixed = seed >>> 0;
  const next = (): number => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    return finalize32(mixed);
  };
  let a = next() | 0, b = next() | 0, c = next() | 0, counter = 1;
  const random = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 12; i++) random();
  return random;
}

/** A whole number from `min` to `max`, both included. */
export function randomInteger(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

/** A number from `min` to `max`, each factor equally likely: small ones are the common ones. */
export function randomLogUniform(random: Random, min: number, max: number): number {
  return min * (max / min) ** random();
}

/** The whole number of tries that fail before one succeeds (geometric), `mean` of them on average. */
export function randomFailures(random: Random, mean: number): number {
  if (mean <= 0) return 0;
  return Math.floor(Math.log(1 - random()) / Math.log(mean / (1 + mean)));
}

/** A standard normal number (Box and Muller). */
export function randomNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/**
 * 32 well mixed bits of two integers. A stream without state: `hash32(meter, slot)` is a meter's
 * number at a slot, whatever else was drawn before.
 */
export function hash32(a: number, b: number): number {
  return finalize32(finalize32(a) ^ Math.imul(b, 0x9e3779b1));
}

/** Nearly standard normal (the sum of the four bytes of 32 random bits), within ±3.46. */
export function normalOf32(bits: number): number {
  const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);
  return (sum - 510) / 147.8;
}

/** The finalizer of MurmurHash3: every input bit reaches every output bit. */
function finalize32(bits: number): number {
  let h = bits ^ (bits >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
