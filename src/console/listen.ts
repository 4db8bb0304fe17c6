import { RunError } from "./errors.ts";
import { say } from "./shell.ts";

/**
 * Serves HTTP on a port; `flag` is the option that named it.
 *
 * @throws {RunError} when the port is taken or may not be used
 */
export function listen(
  { host, port, flag }: { host: string; port: number; flag: string },
  handler: (request: Request) => Response | Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname: host, port, onListen: () => {}, onError: sayFault }, handler);
  } catch (error) {
    const isTaken = error instanceof Deno.errors.AddrInUse;
    throw new RunError(
      `Cannot listen on ${host}:${port}: ${isTaken ? "the port is taken" : String(error)}`,
      isTaken ? `${flag} ${port === 65_535 ? port - 1 : port + 1}` : undefined,
      { cause: error },
    );
  }
}

/** Of a handler that did not answer; the runtime's own way would print the error as it is. */
function sayFault(error: unknown): Response {
  say(`error: ${error instanceof Error ? error.message : error}`);
  return new Response("Internal Server Error", { status: 500 });
}
