/** SQLite's result codes. https://www.sqlite.org/rescode.html */
const OK = 0;
const OTHER = 1;
const BUSY = 5;
const READ_ONLY = 8;
const IO_ERROR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANNOT_OPEN = 14;
/** What a statement is refused with that may not do what it wants. */
export const AUTHORIZATION = 23;
const NOT_A_DATABASE = 26;

/** What SQLite said no to. `code` is its result code; null: it was we who said no. */
export class SqlError extends Error {
  override name = "SqlError";
  constructor(message: string, readonly code: number | null = null, options: ErrorOptions = {}) {
    super(message, options);
  }
}

/** A store that cannot be used as it is. `hint` says what to do. */
export class StoreError extends Error {
  override name = "StoreError";
  readonly hint: string | undefined;
  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
  }
}

/** What SQLite calls an error of `node:sqlite`; null: the error is none of SQLite's. */
export function codeOf(error: unknown): number | null {
  if (error instanceof SqlError) return error.code;
  if (!(error instanceof Error) || (error as { code?: unknown }).code !== "ERR_SQLITE_ERROR") {
    return null;
  }
  const code = (error as { errcode?: unknown }).errcode;
  if (typeof code === "number") return code & 0xff;
  // Opening a file and running a script tell the message alone.
  return MESSAGES.find(([text]) => error.message.startsWith(text))?.[1] ?? OTHER;
}

const MESSAGES: readonly (readonly [text: string, code: number])[] = [
  ["database is locked", BUSY],
  ["attempt to write a readonly database", READ_ONLY],
  ["disk I/O error", IO_ERROR],
  ["database disk image is malformed", CORRUPT],
  ["malformed database schema", CORRUPT],
  ["database or disk is full", FULL],
  ["unable to open database file", CANNOT_OPEN],
  ["not authorized", AUTHORIZATION],
  ["file is not a database", NOT_A_DATABASE],
];

/** Whether another connection holds what is wanted. */
export function isBusy(error: unknown): boolean {
  return codeOf(error) === BUSY;
}

/** Whether the disk has no room. */
export function isFull(error: unknown): boolean {
  return codeOf(error) === FULL;
}

/** Whether a statement wanted more than to read. */
export function isForbidden(error: unknown): boolean {
  return [AUTHORIZATION, READ_ONLY].includes(codeOf(error) ?? OK) ||
    (error instanceof Error && error.message.startsWith("not authorized"));
}

/** What to do about damage, for people. */
export const DAMAGE_HINT = "restore a backup, or play the files again with --data DIR";

/** An error of the store's file as one with a way out; any other as it is. */
export function storeError(error: unknown, directory: string): unknown {
  if (!(error instanceof Error)) return error;
  const { message } = error;
  switch (codeOf(error)) {
    case FULL:
      return new StoreError(`Cannot write to ${directory}: ${message}`, {
        hint: "free some space and run the same command again: it goes on where it stood",
        cause: error,
      });
    case CORRUPT:
    case NOT_A_DATABASE:
      return new StoreError(`Cannot use the store in ${directory}, it is damaged: ${message}`, {
        hint: DAMAGE_HINT,
        cause: error,
      });
    case IO_ERROR:
    case READ_ONLY:
    case CANNOT_OPEN:
      return new StoreError(`Cannot use the store in ${directory}: ${message}`, {
        hint: "look at its disk and at who may write there; what was committed is kept",
        cause: error,
      });
    default:
      return error;
  }
}
