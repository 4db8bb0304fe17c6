/** Ports that nobody listens on now; held together, so that they differ. */
export function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const ports = listeners.map((listener) => listener.addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

/** A port that nobody listens on now. */
export function freePort(): number {
  return freePorts(1)[0];
}
