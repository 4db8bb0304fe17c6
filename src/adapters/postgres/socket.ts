import { Socket } from "node:net";

/** Where a server listens, as the driver says it. */
export type Address = { host: string[]; port: number[]; path?: string | false };

/** The server has gone between two statements. */
export class ConnectionLostError extends Error {
  override name = "ConnectionLostError";
  readonly code = "CONNECTION_CLOSED";

  constructor() {
    super("the connection was lost");
  }
}

/** The driver would go on with another connection in the middle of a transaction: it gets none. */
export function socketOnce(open: (address: Address) => Socket): (address: Address) => Socket {
  let isOpened = false;
  return (address) => {
    if (isOpened) throw new ConnectionLostError();
    isOpened = true;
    return open(address);
  };
}

/**
 * A socket that sends at once: with Nagle's algorithm a COPY waits for the delayed acknowledgement
 * of what went before it, 40 to 90 ms each time. It is given out while it still connects; the driver
 * hears of a failure from the socket's events.
 */
export function openSocket(
  { host, port, path }: Address,
  onLost: () => void,
): Socket {
  const socket = new Socket();
  socket.once("error", onLost);
  socket.once("close", onLost);
  socket.once("connect", () => socket.setNoDelay(true));
  if (path) socket.connect(path);
  else socket.connect(port[0], host[0]);
  return Object.assign(socket, { host: host[0], port: port[0] });
}
