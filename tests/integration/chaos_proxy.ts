/** A bad line: TCP connections to one address that can be cut, delayed and refused. */
export class Proxy implements AsyncDisposable {
  readonly address: string;
  /** Each chunk waits so long, in both directions. */
  delayMs = 0;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #pumps = new Set<Promise<void>>();
  readonly #target: () => { hostname: string; port: number };

  constructor(target: () => { hostname: string; port: number }) {
    this.#target = target;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.address = `127.0.0.1:${this.#listener.addr.port}`;
    this.#pumps.add(this.#accept());
  }

  /** Cuts every connection in the middle of whatever it says; how many there were. */
  cut(): number {
    const count = this.#open.size / 2;
    for (const connection of [...this.#open]) this.#close(connection);
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await Promise.all(this.#pumps);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const pump = this.#serve(client).finally(() => this.#pumps.delete(pump));
      this.#pumps.add(pump);
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    this.#open.add(client);
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect(this.#target());
    } catch {
      return this.#close(client); // the broker is away: refused
    }
    if (!this.#open.has(client)) return server.close();
    this.#open.add(server);
    await Promise.all([this.#pump(client, server), this.#pump(server, client)]);
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(64 << 10);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        if (this.delayMs > 0) await pause(this.delayMs);
        for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
      }
    } catch {
      // cut, here or there: both ends go
    }
    this.#close(from);
    this.#close(to);
  }

  #close(connection: Deno.TcpConn): void {
    if (!this.#open.delete(connection)) return;
    try {
      connection.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

/** Sleeps: chaos has a schedule in real time. */
export function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
