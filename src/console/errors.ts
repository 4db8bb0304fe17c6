/**
 * The command line was wrong: exit code 2.
 *
 * `message` follows the grammar `Cannot <verb> with --option="value": must be …`; `hint` names a
 * way out, where there is one.
 */
export class UsageError extends Error {
  override name = "UsageError";

  constructor(message: string, readonly hint?: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** The command line was right and the work failed (no such file, disk full, …): exit code 1. */
export class RunError extends Error {
  override name = "RunError";
  /** Lines below the hint. */
  readonly more: readonly string[];

  constructor(
    message: string,
    readonly hint?: string,
    { more = [], ...options }: ErrorOptions & { readonly more?: readonly string[] } = {},
  ) {
    super(message, options);
    this.more = more;
  }
}
