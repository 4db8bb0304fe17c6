/**
 * The smallest count that events of this mean reach with a probability of `chanceMax` at most:
 * min k with P(Poisson(mean) ≥ k) ≤ chanceMax.
 *
 * The tail is added up from its far end, smallest terms first: nothing is lost of it to rounding.
 * https://en.wikipedia.org/wiki/Poisson_distribution
 */
export function smallestCount(mean: number, chanceMax: number): number {
  let count = Math.ceil(mean + DEVIATIONS * Math.sqrt(mean)) + COUNTS_MORE;
  let term = Math.exp(count * Math.log(mean) - mean - logFactorial(count));
  let tail = term;
  while (tail <= chanceMax && count > 0) {
    term *= count / mean;
    count--;
    tail += term;
  }
  return tail <= chanceMax ? 0 : count + 1;
}

/** So many standard deviations beyond the mean, and so many counts, the tail is nothing. */
const DEVIATIONS = 15;
const COUNTS_MORE = 30;

/** Stirling's series: https://en.wikipedia.org/wiki/Stirling%27s_approximation, for 30 and above. */
function logFactorial(count: number): number {
  const series = 1 / (12 * count) - 1 / (360 * count ** 3);
  return count * Math.log(count) - count + Math.log(2 * Math.PI * count) / 2 + series;
}
