import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";

/** How a connection is encrypted, in libpq's words; its weaker modes keep their meaning. */
export const SSL_MODES = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
] as const;

export type SslMode = typeof SSL_MODES[number];

/** What a URL says of TLS, and the URL without it: the driver would send it on to the server. */
export type Tls = {
  readonly url: string;
  readonly mode: SslMode;
  /** Nothing is sent to a server without TLS. */
  readonly mustEncrypt: boolean;
  /** A file of the authorities that are trusted, PEM; null: those of the system. */
  readonly caFile: string | null;
};

/**
 * Reads `sslmode` and `sslrootcert`. Where no mode is said, the server's certificate is checked for
 * its name or address, except of a server on this machine: libpq's default would send the password
 * to whoever answers.
 */
export function readTls(text: string): Tls {
  const url = new URL(text);
  const said = url.searchParams.get("sslmode") ?? url.searchParams.get("ssl");
  const caFile = url.searchParams.get("sslrootcert");
  for (const name of ["sslmode", "ssl", "sslrootcert"]) url.searchParams.delete(name);
  // What the URL does not say, the driver would take from the environment.
  if (url.hostname === "") url.hostname = "localhost";
  const host = decodeURIComponent(url.hostname);
  const mode = said === null
    ? host.split(",").every(isLoopback) ? "disable" : "verify-full"
    : SSL_MODES.find((one) => one === said) ?? "verify-full";
  const mustEncrypt = mode === "require" || mode === "verify-ca" || mode === "verify-full";
  return { url: url.href, mode, mustEncrypt, caFile: caFile === "system" ? null : caFile };
}

/** A name or address that does not leave this machine; one that begins with a slash is a socket. */
function isLoopback(host: string): boolean {
  return /^(\/|(.*\.)?localhost(:|$)|127\.\d+\.\d+\.\d+(:|$)|\[?::1\]?(:|$))/i.test(host);
}

/**
 * What the driver is told. `reached` gives the host or address that was connected to: of an address
 * the driver tells nobody, and the certificate would be held against the name `localhost`.
 */
export function driverTls(
  { mode, mustEncrypt, caFile }: Tls,
  reached: () => string,
): false | "prefer" | ConnectionOptions {
  if (mode === "disable") return false;
  if (!mustEncrypt) return "prefer";
  const isChecked = mode !== "require" || caFile !== null;
  return {
    ...(caFile === null ? {} : { ca: readFileSync(caFile, "utf8") }),
    rejectUnauthorized: isChecked,
    ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
    get host() {
      return reached().replace(/^\[|\]$/g, "");
    },
  };
}

/** The server was asked for TLS, and has none. */
export class NoTlsError extends Error {
  override name = "NoTlsError";
  readonly code = "ENOTLS";
}
