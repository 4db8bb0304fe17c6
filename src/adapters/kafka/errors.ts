import { ProtocolError } from "@platformatic/kafka";
import { LogError } from "../../engine/log/ports.ts";

/** Errors of other owners: this one's transactional id, or its place in the group, is taken. */
const FENCED = new Set([
  "INVALID_PRODUCER_EPOCH",
  "PRODUCER_FENCED",
  "TRANSACTION_COORDINATOR_FENCED",
  "FENCED_INSTANCE_ID",
]);

/** The membership that a commit named is over, or not yet begun. */
const MEMBERSHIP_MOVED = new Set([
  "ILLEGAL_GENERATION",
  "UNKNOWN_MEMBER_ID",
  "REBALANCE_IN_PROGRESS",
]);

type LibraryError = {
  readonly apiId?: unknown;
  readonly code?: unknown;
  readonly canRetry?: unknown;
  readonly errors?: unknown;
  readonly cause?: unknown;
  readonly message?: unknown;
  readonly serverErrorMessage?: unknown;
};

/** The broker's own name for an error, such as `NOT_COORDINATOR`; null: it is not the broker's. */
export function brokerErrorOf(error: unknown): string | null {
  for (const { apiId } of chainOf(error)) {
    if (typeof apiId === "string") return apiId;
  }
  return null;
}

/** The error of a code that stands beside an answer's partition. */
export function brokerError(code: number): Error {
  return new ProtocolError(code);
}

export function isFenced(error: unknown): boolean {
  return FENCED.has(brokerErrorOf(error) ?? "");
}

export function isMembershipMoved(error: unknown): boolean {
  return MEMBERSHIP_MOVED.has(brokerErrorOf(error) ?? "");
}

/** A connection that failed, or no answer in time: whether the broker acted is not known. */
export function isNetworkError(error: unknown): boolean {
  if (brokerErrorOf(error) !== null || isTurnedAway(error)) return false;
  for (const { code } of chainOf(error)) if (code === "PLT_KFK_NETWORK") return true;
  return false;
}

/** A broker that was reached, and will have none of us: wrong password, no TLS. */
export function isTurnedAway(error: unknown): boolean {
  for (const { code } of chainOf(error)) {
    if (code === "PLT_KFK_AUTHENTICATION" || code === "PLT_KFK_USER") return true;
  }
  return false;
}

/** Worth another try: the cluster is moving things, or cannot be reached for now. */
export function isRetriable(error: unknown): boolean {
  if (brokerErrorOf(error) === null) return isNetworkError(error);
  let retriable = false;
  for (const { apiId, canRetry } of chainOf(error)) {
    if (typeof apiId !== "string") continue;
    if (canRetry !== true) return false;
    retriable = true;
  }
  return retriable;
}

/** The cause in a few words, the innermost that says something. */
export function reasonOf(error: unknown): string {
  let reason = "";
  for (const { apiId, code, message, serverErrorMessage } of chainOf(error)) {
    if (apiId === "SASL_AUTHENTICATION_FAILED") return WRONG_PASSWORD;
    if (typeof apiId === "string") {
      const name = apiId.toLowerCase().replaceAll("_", " ");
      return serverErrorMessage ? `${name} (${serverErrorMessage})` : name;
    }
    const known = KNOWN_CAUSES.find(({ pattern }) => pattern.test(`${code ?? ""} ${message}`));
    if (known !== undefined) reason = known.reason;
    else if (reason === "" && typeof message === "string") reason = message;
  }
  return reason;
}

const WRONG_PASSWORD = "it refuses the name or password (SASL)";

const KNOWN_CAUSES = [
  { pattern: /SASL authentication failed/i, reason: WRONG_PASSWORD },
  { pattern: /ECONNREFUSED|connection refused/i, reason: "connection refused" },
  { pattern: /ENOTFOUND|EAI_AGAIN|failed to lookup/i, reason: "no such host" },
  { pattern: /ECONNRESET|EPIPE|Connection closed|closed while/i, reason: "connection closed" },
  { pattern: /ETIMEDOUT|timed out/i, reason: "no answer in time" },
  { pattern: /requires TLS/i, reason: "it speaks TLS, and TLS is not switched on" },
  { pattern: /UnknownIssuer|self.signed|unable to verify/i, reason: "its certificate is unknown" },
  { pattern: /certificate|InvalidContentType|TLS/i, reason: "the TLS handshake failed" },
  { pattern: /No available authentication|SASL mechanism/i, reason: "no such SASL mechanism" },
];

/** The one line for people: where, why, and a way out. */
export function unreachable(brokers: readonly string[], cause: unknown): LogError {
  const reason = reasonOf(cause);
  return new LogError(`Cannot reach Kafka at ${brokers.join(", ")}: ${reason}`, {
    cause,
    hint: HINTS.find(({ pattern }) => pattern.test(reason))?.hint,
  });
}

const HINTS = [
  { pattern: /refused|answer/, hint: "Is it running, and is this its advertised address?" },
  { pattern: /no such host/, hint: "Look at the spelling of the broker's name" },
  { pattern: /TLS is not/, hint: "Switch TLS on" },
  { pattern: /certificate/, hint: "Name its authority's certificate file" },
  {
    pattern: /closed|TLS/,
    hint: "Is it running? If it is: does this port speak TLS, or ask for SASL?",
  },
  { pattern: /SASL/, hint: "Look at the mechanism, the user and the password" },
];

/** An error, what it bundles and what caused it, from the outside in. */
function* chainOf(error: unknown, depth = 0): Generator<LibraryError> {
  if (typeof error !== "object" || error === null || depth > 8) return;
  const found = error as LibraryError;
  yield found;
  if (Array.isArray(found.errors)) {
    for (const inner of found.errors) yield* chainOf(inner, depth + 1);
  }
  yield* chainOf(found.cause, depth + 1);
}
