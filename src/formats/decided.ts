/** Something found out about a file, and by what. */
export type Decision = { readonly value: string | null; readonly evidence: string };

/** What is decided about a file before it is read. */
export type Decided = {
  readonly format: Decision;
  readonly encoding: Decision;
  readonly delimiter: Decision;
  readonly decimal: Decision;
  readonly date_order: Decision;
  readonly label: Decision;
  readonly unit: Decision;
  readonly timezone: Decision;
  readonly channels: Decision;
};

/** A decision, in short. */
export function decide(value: string | null, evidence: string): Decision {
  return { value, evidence };
}
