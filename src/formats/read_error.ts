/** How the command that was given will do: with more options, and with `instead` for `file`. */
export type CommandAgain = {
  readonly add: readonly string[];
  readonly file: string;
  readonly instead: string;
};

type ReadErrorOptions = ErrorOptions & {
  /** Lines below the hint. */
  readonly more?: readonly string[];
  readonly again?: CommandAgain;
};

/**
 * A file that cannot be read, said to a person: `Cannot read "x.csv": …`; `hint` names a way out,
 * where there is one.
 */
export class ReadError extends Error {
  override name = "ReadError";
  readonly more: readonly string[];
  readonly again: CommandAgain | null;

  constructor(
    message: string,
    readonly hint?: string,
    { more = [], again, ...options }: ReadErrorOptions = {},
  ) {
    super(message, options);
    this.more = more;
    this.again = again ?? null;
  }
}
