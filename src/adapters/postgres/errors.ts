import { StoreAwayError } from "../../engine/sink/ports.ts";

/** The error of a driver or of the server, as far as it says what it is. */
type Coded = Error & { readonly code?: string; readonly severity?: string };

/**
 * Whether the server refused a value, not the work: bad data, a constraint, a trigger that raised, a
 * row too large for an index. Such a row is refused however often it is sent.
 */
export function isRefusal(error: unknown): error is Coded {
  return error instanceof Error && /^(22|23|44|54|P0)\w{3}$/.test((error as Coded).code ?? "");
}

/** Whether the server rolled work back for the sake of other work: sent again, it may well go. */
export function isConflict(error: unknown): boolean {
  return error instanceof Error && /^40(P01|001)$/.test((error as Coded).code ?? "");
}

/**
 * Whether the server had no memory for the work, its table of locks included: a transaction that
 * writes into many chunks locks each of them. In smaller parts it may well go.
 */
export function isTooMuch(error: unknown): boolean {
  return error instanceof Error && (error as Coded).code === "53200";
}

/** What a person may do about an error, by its SQLSTATE or the system's name for it. */
const HINTS: Readonly<Record<string, string>> = {
  "25006": "the database is read-only: a standby, or full",
  "28000": "user and password of database.url",
  "28P01": "user and password of database.url",
  "3D000": "create the database, then gridwatch migrate",
  "42501": "the user of database.url needs INSERT, UPDATE and SELECT on the tables",
  "42703": "gridwatch migrate",
  "42P01": "gridwatch migrate",
  "53100": "the database's disk is full",
  "53200": "raise max_locks_per_transaction, or the server's memory",
  "53300": "raise max_connections, or lower sink.connections",
  ENOTLS: "ssl = on there; or ?sslmode=disable in the URL, on a network that you trust",
  ECONNREFUSED: "is PostgreSQL running there?",
  ENOTFOUND: "the host of database.url",
};

/** SQLSTATEs, the system's names of errors, and the driver's own of connections. */
const OF_THE_STORE = /^([0-9A-Z]{5}|E(?!RR_)[A-Z]+|CONNECT\w+|\w*CERT\w*|UNABLE_TO_\w+)$/;
/** Those of the server; the system's names of errors begin with E, which none of its classes does. */
const SQLSTATE = /^[0-9A-DF-Z][0-9A-Z]{4}$/;
/** The server does not answer, or is about to end, or takes no more connections. */
const OUT_OF_REACH = /^(08\w{3}|57P0\d|53300)$/;
/** The statement is wrong: a fault of ours, which no wait mends. */
const OURS = /^42(?!P01|703|501)/;

/**
 * What becomes of an error that is none of a row: the store is away, or answers and refuses, which is
 * told as what it is. A fault of our own is given back as it is.
 */
export function awayOf(error: unknown): unknown {
  const code = error instanceof Error ? (error as Coded).code ?? "" : "";
  if (!(error instanceof Error) || !OF_THE_STORE.test(code) || OURS.test(code)) return error;
  const message = error.message === "" ? code : error.message;
  const hint = hintOf(error);
  if (!SQLSTATE.test(code) || OUT_OF_REACH.test(code)) {
    return new StoreAwayError(`Cannot use the database: ${message}`, { hint, cause: error });
  }
  return new StoreAwayError(`The database refuses: ${message} (SQLSTATE ${code})`, {
    ...{ hint, cause: error, sqlstate: code },
  });
}

/** What a person may do about an error of the server, or of the way to it. */
export function hintOf(error: unknown): string | undefined {
  const code = (error as Coded | null)?.code ?? "";
  if (code === OTHER_NAME) return "the name or address that the certificate is for";
  return UNTRUSTED.test(code) ? "database.tls_ca_file names the authority's file" : HINTS[code];
}

const OTHER_NAME = "ERR_TLS_CERT_ALTNAME_INVALID";
/** What OpenSSL calls a certificate that is not believed. */
const UNTRUSTED = /CERT|^UNABLE_TO_/;
