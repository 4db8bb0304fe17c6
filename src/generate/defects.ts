import { createRandom, type Random } from "./random.ts";

export type DefectOptions = {
  readonly gapProbability: number;
  readonly delayProbability: number;
  readonly maxDelayMs: number;
  readonly duplicateProbability: number;
  readonly seed: number;
};

/** What becomes of one row. */
export type Defect = { isGap: boolean; delayMs: number; isDuplicate: boolean };

/**
 * Draws what becomes of each row, into one object used again and again. Every row takes the same
 * four numbers, whatever comes of them: another probability changes the rows it is about, and no
 * others.
 */
export function defectDrawer(options: DefectOptions): () => Defect {
  const { gapProbability, delayProbability, duplicateProbability } = options;
  const defect: Defect = { isGap: false, delayMs: 0, isDuplicate: false };
  if (gapProbability === 0 && delayProbability === 0 && duplicateProbability === 0) {
    return () => defect;
  }
  const random: Random = createRandom(options.seed);
  const delaySecondsMax = Math.floor(options.maxDelayMs / 1000);
  return () => {
    defect.isGap = random() < gapProbability;
    const isDelayed = random() < delayProbability;
    const delaySeconds = 1 + Math.floor(random() * delaySecondsMax);
    defect.delayMs = isDelayed ? delaySeconds * 1000 : 0;
    defect.isDuplicate = random() < duplicateProbability;
    return defect;
  };
}
