import type { ValidatedReading } from "./outputs.ts";
import type { Processor } from "./processor.ts";
import { flagReading, NO_FLAGS } from "./rules/rules.ts";
import type { Step } from "./step.ts";
import type { Reading } from "./taking.ts";

/** Says that a reading of meter i is accepted, with the flags of every rule that it fails. */
export function accept(
  processor: Pick<Processor, "state" | "meters" | "rules" | "options">,
  step: Step,
  i: number,
  { reading: { timestampMs, consumptionKwh, receivedMs, quality }, delayMs, revisesKwh }: {
    readonly reading: Reading;
    readonly delayMs: number;
    /** The value that it replaces; null: it takes a free slot. */
    readonly revisesKwh: number | null;
  },
): void {
  const { state, meters } = processor;
  if (delayMs === 0) state.ledger.ok++;
  else state.ledger.late++;
  const accepted: { -readonly [Field in keyof ValidatedReading]: ValidatedReading[Field] } = {
    offset: step.offset,
    meterId: meters.idOf(i),
    timestampMs,
    consumptionKwh,
    status: delayMs === 0 ? "OK" : "LATE",
    flags: NO_FLAGS,
    delayMs,
  };
  accepted.flags = flagReading(processor, i, accepted, step);
  if (revisesKwh !== null) {
    accepted.flags = [...accepted.flags, "REVISES"];
    accepted.revisesKwh = revisesKwh;
  }
  if (!Number.isNaN(receivedMs)) accepted.receivedMs = receivedMs;
  if (quality !== null) accepted.quality = quality;
  step.outputs.validated.push(accepted);
  if (timestampMs > state.readingMaxMs) state.readingMaxMs = timestampMs;
}
