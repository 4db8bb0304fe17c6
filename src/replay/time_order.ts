/** Keys are counted into so many slots each at most: what lies further apart is sorted otherwise. */
const SLOTS_PER_KEY = 8;
/** Doubles are exact up to this. */
const EXACT_MAX = 2 ** 53;

/**
 * The places of whole numbers as these ascend; of equal ones the first stays the first. Times of one
 * series lie on few multiples of a step, and are counted into them: no comparison is made.
 */
export function placesInOrder(keys: Float64Array): ArrayLike<number> {
  const { length } = keys;
  let [least, most] = [Infinity, -Infinity];
  for (let n = 0; n < length; n++) {
    if (keys[n] < least) least = keys[n];
    if (keys[n] > most) most = keys[n];
  }
  let step = 0;
  for (let n = 0; n < length && step !== 1; n++) {
    const steps = step === 0 ? 0.5 : (keys[n] - least) / step;
    // Most are a multiple of it already: that is asked at less cost.
    if (steps !== Math.floor(steps)) step = commonDivisor(keys[n] - least, step);
  }
  if (step === 0) return keys.map((_, n) => n);
  const slots = (most - least) / step + 1;
  if (slots <= SLOTS_PER_KEY * length) return countedPlaces(keys, { least, step, slots });
  // Key and place as one number: a sort of numbers is many times faster than one that calls back.
  if (slots * length >= EXACT_MAX) {
    return Array.from(keys, (_, n) => n).sort((a, b) => keys[a] - keys[b] || a - b);
  }
  const both = keys.map((key, n) => (key - least) / step * length + n).sort();
  return both.map((key) => key % length);
}

function commonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

function countedPlaces(
  keys: Float64Array,
  { least, step, slots }: { readonly least: number; readonly step: number; readonly slots: number },
): Int32Array {
  const starts = new Int32Array(slots + 1);
  for (let n = 0; n < keys.length; n++) starts[(keys[n] - least) / step + 1]++;
  for (let slot = 1; slot < slots; slot++) starts[slot] += starts[slot - 1];
  const places = new Int32Array(keys.length);
  for (let n = 0; n < keys.length; n++) places[starts[(keys[n] - least) / step]++] = n;
  return places;
}

/** The numbers at these places. */
export function atPlaces(numbers: Float64Array, places: ArrayLike<number>): Float64Array {
  const moved = new Float64Array(places.length);
  for (let n = 0; n < moved.length; n++) moved[n] = numbers[places[n]];
  return moved;
}
