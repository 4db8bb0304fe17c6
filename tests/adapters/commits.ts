/** Commits made by hand, for tests of stores: a partition that goes on by one record a commit. */
import { emptyLedger } from "../../src/core/ledger.ts";
import { emptyOutputs, type Outputs, type ValidatedReading } from "../../src/core/outputs.ts";
import type { Commit, CommitStore, Snapshot } from "../../src/engine/ports.ts";

/** A commit from `fromOffset` on by one reading accepted, changed where the test says so. */
export function commitOf(
  partition: number,
  fromOffset: number,
  changes: Partial<Commit> = {},
): Commit {
  const nextOffset = changes.nextOffset ?? fromOffset + 1;
  return {
    partition,
    fromOffset,
    nextOffset,
    outputs: outputsOf({ validated: [validatedOf(fromOffset)] }),
    changelog: [],
    compacts: false,
    task: Uint8Array.of(partition, nextOffset),
    watermarkMs: Date.UTC(2024, 0, 1),
    judgedToMs: Date.UTC(2024, 0, 1) - 900_000,
    ledger: { ...emptyLedger(), raw: nextOffset, ok: nextOffset },
    stateTtlMs: 7 * 86_400_000,
    ...changes,
  };
}

/** Outputs, empty where nothing is given. */
export function outputsOf(outputs: Partial<Outputs>): Outputs {
  return { ...emptyOutputs(), ...outputs };
}

/** A plain accepted reading, changed where the test says so. */
export function validatedOf(
  offset: number,
  changes: Partial<ValidatedReading> = {},
): ValidatedReading {
  return {
    offset,
    meterId: "M1",
    timestampMs: Date.UTC(2024, 0, 1) + offset * 1_800_000,
    consumptionKwh: 0.5,
    status: "OK",
    flags: [],
    delayMs: 0,
    ...changes,
  };
}

/** A snapshot with its changelog read. */
export type Loaded = Omit<Snapshot, "changelog"> & { readonly changelog: number[][] };

/** Loads a partition and reads all of its changelog. */
export async function loadAll(store: CommitStore, partition: number): Promise<Loaded | null> {
  const snapshot = await store.load(partition);
  if (snapshot === null) return null;
  const changelog: number[][] = [];
  for await (const payload of snapshot.changelog) changelog.push([...payload]);
  return { nextOffset: snapshot.nextOffset, task: snapshot.task, changelog };
}
