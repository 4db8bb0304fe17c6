/**
 * Marks: the slots for which an unusable reading came and nothing else did, as ascending ordinals.
 */

/** Notes an unusable reading for a slot; false: that is known. */
export function addMark(marks: number[], ordinal: number): boolean {
  const at = firstFrom(marks, ordinal);
  if (marks[at] === ordinal) return false;
  marks.splice(at, 0, ordinal);
  return true;
}

/** Forgets the mark of a slot that a good reading has taken. */
export function removeMark(marks: number[], ordinal: number): void {
  const at = firstFrom(marks, ordinal);
  if (marks[at] === ordinal) marks.splice(at, 1);
}

/** How many of `count` slots from `from` on are marked. */
export function countMarks(marks: readonly number[], from: number, count: number): number {
  return firstFrom(marks, from + count) - firstFrom(marks, from);
}

/** Where in the ascending marks the first one at or behind `ordinal` stands. */
function firstFrom(marks: readonly number[], ordinal: number): number {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (marks[middle] < ordinal) low = middle + 1;
    else high = middle;
  }
  return low;
}
