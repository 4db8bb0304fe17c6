/** One setting: what it may be, what it is by default, and what for. */
export type Setting = {
  readonly type:
    | "number"
    | "integer"
    | "interval"
    | "tolerance"
    | "threshold"
    | "choice"
    | "text"
    | "secret"
    | "time"
    | "timezone";
  readonly default: number | string;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** It shapes what a state remembers or judges: readings of one state are judged by one value. */
  readonly judges?: true;
  readonly doc: string;
};

/** That of a rule of validation, which can be turned off. */
export function threshold(byDefault: number, doc: string) {
  return {
    type: "threshold",
    default: byDefault,
    min: 1,
    max: 1e9,
    judges: true,
    doc: `${doc} off: not judged.`,
  } as const;
}
