/** What readings are judged by: a fingerprint to compare, and the values by name to show. */
export type Judging = {
  readonly hash: string;
  readonly values: Readonly<Record<string, string>>;
};

/** A setting that is not as it was when readings were judged. */
export type OtherSetting = {
  readonly name: string;
  readonly value: string;
  readonly before: string;
};

/**
 * The first setting that differs from what the changelog says; null: none does. A setting that the
 * version before did not have is as it was then: the default.
 */
export function findOtherSetting(
  { values }: Judging,
  before: Readonly<Record<string, string>>,
): OtherSetting | null {
  for (const [name, value] of Object.entries(values)) {
    if (before[name] === undefined || before[name] === value) continue;
    return { name, value, before: before[name] };
  }
  return null;
}
