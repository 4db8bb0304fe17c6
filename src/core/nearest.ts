/** Names further than this from what was written, by letters to change, are not meant. */
const DISTANCE_MAX = 3;
/** A part that is shorter says too little of a name. */
const PART_LENGTH_MIN = 4;

/**
 * "Did you mean …?": the known name nearest to what was written, by the letters to change; null: none
 * is near. Of a long name a part that no other has is enough.
 */
export function nearest(written: string, known: Iterable<string>): string | null {
  const word = written.toLowerCase();
  let best: string | null = null;
  // Half of a short word changed is another word.
  let bestDistance = Math.min(DISTANCE_MAX, Math.floor(word.length / 2)) + 1;
  const holders: string[] = [];
  for (const name of known) {
    const distance = editDistance(word, name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
    if (isPart(word, name.toLowerCase())) holders.push(name);
  }
  return best ?? (holders.length === 1 ? holders[0] : null);
}

/** Whether one of two names is the other's beginning or end. */
function isPart(a: string, b: string): boolean {
  const [part, whole] = a.length < b.length ? [a, b] : [b, a];
  if (part.length < PART_LENGTH_MIN) return false;
  return whole.startsWith(part) || whole.endsWith(part);
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min(swap, previous[j] + 1, current[j - 1] + 1);
    }
    previous = current;
  }
  return previous[b.length];
}
