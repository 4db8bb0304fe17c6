/**
 * A file that cannot be read, said to a person: `Cannot read "x.csv": …`; `hint` names a way out,
 * where there is one.
 */
export class ReadError extends Error {
  override name = "ReadError";

  constructor(message: string, readonly hint?: string, options?: ErrorOptions) {
    super(message, options);
  }
}
