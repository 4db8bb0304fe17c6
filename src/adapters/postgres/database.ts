import postgres from "postgres";
import { COPY_HEADER_BYTES } from "../../tables/copy.ts";
import { ConnectionLostError, openSocket, socketOnce } from "./socket.ts";
import { driverTls, NoTlsError, readTls } from "./tls.ts";

/** Rows of one statement. */
export type Answer = { readonly columns: string[]; readonly rows: Record<string, unknown>[] };

/** Statements of one transaction, one after another. */
export type Transaction = {
  /** Runs one statement; gives its rows, and how many it touched. */
  query(sql: string, params?: readonly unknown[]): Promise<Touched>;
  /** Copies rows in PostgreSQL's binary form into a table. */
  copy(
    target: { readonly table: string; readonly columns: readonly string[] },
    bytes: Uint8Array,
  ): Promise<void>;
  /**
   * Copies the rows of a query out in PostgreSQL's binary form: `take` gets them as they come, whole
   * rows one behind another without the header, and has to be done with them when it returns.
   */
  copyOut(query: string, take: (rows: Uint8Array<ArrayBuffer>) => void): Promise<void>;
  /** Runs work that leaves nothing behind when it rejects; the transaction goes on. */
  attempt<T>(work: () => Promise<T>): Promise<T>;
};

export type Touched = Answer & { readonly touched: number };

export type DatabaseOptions = {
  /** Connections at a time. */
  readonly connections: number;
  /** Shown in pg_stat_activity. */
  readonly name: string;
  /** Nothing can be changed through it. */
  readonly readOnly?: boolean;
  /** The server ends a statement after so long; 0: never. */
  readonly statementMsMax: number;
  readonly connectMsMax?: number;
};

const CLOSE_SECONDS_MAX = 1;
const CONNECT_MS_MAX = 5000;

/**
 * A database by its URL (`postgres://user:password@host:5432/name?sslmode=…`). Each connection is a
 * driver of its own, thrown away once it has lost the server: asked to go on with a connection that
 * has closed meanwhile, the driver ends the process (an error in a timer, which nobody can catch), and
 * what it had not sent goes ahead of the next connection's greeting.
 */
export class PostgresDatabase {
  readonly #open: () => Connection;
  /** A pooler stands before the server, and takes no settings with the greeting. */
  #isPooled = false;
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #waiting: ((connection: Connection) => void)[] = [];
  readonly #connectionsMax: number;

  constructor(url: string, options: DatabaseOptions) {
    this.#open = () => new Connection(url, { ...options, isPooled: this.#isPooled });
    this.#connectionsMax = options.connections;
  }

  /** Runs one statement with its parameters ($1, $2, …), in a transaction of its own. */
  async query(sql: string, params: readonly unknown[] = []): Promise<Answer> {
    return await this.#with((connection) => connection.queryAlone(sql, params));
  }

  /** Runs one statement that makes transactions itself, as some procedures do. */
  async call(sql: string): Promise<void> {
    await this.#with((connection) => connection.query(sql));
  }

  /** Runs a script of any number of statements. */
  async script(sql: string): Promise<void> {
    await this.#with((connection) => connection.script(sql));
  }

  /** Runs `work` in a transaction: committed when it resolves, rolled back when it rejects. */
  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#with((connection) => connection.transaction(work));
  }

  /** Cuts every connection, for a server that does not answer; later work gets new ones. */
  async reset(): Promise<void> {
    await Promise.all([...this.#all].map((connection) => connection.close(0)));
  }

  /** Ends what runs, within a second. */
  async close(): Promise<void> {
    await Promise.all([...this.#all].map((connection) => connection.close(CLOSE_SECONDS_MAX)));
  }

  async #with<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#take();
    try {
      return await work(connection);
    } catch (error) {
      if (this.#isPooled || !isGreetingRefused(error)) throw error;
      this.#isPooled = true;
      await connection.close(0);
    } finally {
      this.#give(connection);
    }
    return await this.#with(work);
  }

  async #take(): Promise<Connection> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.isLost) return idle;
      this.#discard(idle);
    }
    if (this.#all.size < this.#connectionsMax) return this.#add();
    return await new Promise((resolve) => this.#waiting.push(resolve));
  }

  #give(used: Connection): void {
    if (used.isLost) this.#discard(used);
    const next = this.#waiting.shift();
    if (next !== undefined) next(used.isLost ? this.#add() : used);
    else if (!used.isLost) this.#idle.push(used);
  }

  #add(): Connection {
    const connection = this.#open();
    this.#all.add(connection);
    return connection;
  }

  #discard(connection: Connection): void {
    this.#all.delete(connection);
    connection.close(0).catch(() => {}); // it is lost already
  }
}

/** Whether a pooler refused a setting of the greeting: what was to be done has not begun. */
function isGreetingRefused(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return code === "08P01" && String(message).includes("startup parameter");
}

class Connection implements Transaction {
  readonly #sql: postgres.Sql;
  readonly #begin: string;
  /** Statements under way: the driver forgets those sent between an error and the end it causes. */
  readonly #pending = new Set<(error: Error) => void>();
  #isLost = false;
  #isWithoutTls = false;

  constructor(url: string, options: ConnectionOptions) {
    this.#begin = beginning(options);
    this.#sql = connect(url, options, {
      lost: () => this.#lose(),
      noTls: () => this.#isWithoutTls = true,
    });
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  async query(sql: string, params: readonly unknown[] = []): Promise<Touched> {
    this.#check();
    const rows = await this.#follow(
      // One statement, whatever a text may hold behind a semicolon.
      this.#sql.unsafe(sql, params as postgres.ParameterOrJSON<never>[], ONE),
    );
    return {
      columns: (rows.columns ?? []).map(({ name }) => name),
      rows: [...rows],
      touched: rows.count ?? 0,
    };
  }

  /** The end is sent with the statement: an error of it makes a rollback of the COMMIT. */
  async queryAlone(sql: string, params: readonly unknown[]): Promise<Answer> {
    await this.#begun();
    const [asked, ended] = await Promise.allSettled([
      this.query(sql, params),
      this.query("COMMIT"),
    ]);
    if (asked.status === "rejected") throw asked.reason;
    if (ended.status === "rejected") throw ended.reason;
    return asked.value;
  }

  async script(sql: string): Promise<void> {
    this.#check();
    try {
      await this.#follow(this.#sql.unsafe(sql).simple());
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
  }

  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    await this.#begun();
    try {
      const result = await work(this);
      // Of a transaction that has failed COMMIT makes a rollback, without an error.
      this.#check();
      const { command } = await this.#follow(this.#sql.unsafe("COMMIT"));
      if (command !== "COMMIT") throw new Error(`the transaction ended with ${command}`);
      return result;
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
  }

  async attempt<T>(work: () => Promise<T>): Promise<T> {
    await this.query("SAVEPOINT attempt");
    try {
      const result = await work();
      await this.query("RELEASE SAVEPOINT attempt");
      return result;
    } catch (error) {
      if (!this.#isLost) await this.query("ROLLBACK TO SAVEPOINT attempt");
      throw error;
    }
  }

  async copy(
    { table, columns }: { readonly table: string; readonly columns: readonly string[] },
    bytes: Uint8Array,
  ): Promise<void> {
    this.#check();
    const copying = this.#sql.unsafe(
      `COPY ${table} (${columns.join(", ")}) FROM STDIN (FORMAT binary)`,
    );
    const { promise: done, resolve, reject } = Promise.withResolvers<void>();
    // The driver resolves this query with the stream, and tells nobody of an error that comes once
    // all bytes are sent: its `reject` is the only one that hears of it.
    const query = copying as unknown as { reject(error: unknown): void };
    const rejectQuery = query.reject;
    query.reject = (error) => {
      reject(error);
      rejectQuery(error);
    };
    done.catch(() => {});
    const stream = await this.#follow(copying.writable());
    stream.once("error", reject);
    stream.once("finish", () => resolve());
    stream.end(bytes);
    await this.#follow(done);
  }

  async copyOut(query: string, take: (rows: Uint8Array<ArrayBuffer>) => void): Promise<void> {
    this.#check();
    const copying = this.#sql.unsafe(`COPY (${query}) TO STDOUT (FORMAT binary)`);
    const { promise: done, resolve, reject } = Promise.withResolvers<void>();
    // The rows may be there before whoever awaits the stream hears of it. Each is a message of its
    // own, taken as the driver finds it: through the queue of the stream it would cost thrice as much.
    const asked = copying as unknown as { resolve(stream: CopyStream): void };
    const resolveAsked = asked.resolve;
    asked.resolve = (stream) => {
      asked.resolve = resolveAsked; // it is called again when the statement is at its end
      let isFirst = true;
      stream.push = (message) => {
        if (message === null) resolve();
        else take(isFirst ? message.subarray(COPY_HEADER_BYTES) : message);
        isFirst = false;
        return true;
      };
      stream.once("error", reject);
      resolveAsked(stream);
    };
    done.catch(() => {});
    await this.#follow(copying.readable());
    await this.#follow(done);
  }

  async close(secondsMax: number): Promise<void> {
    if (secondsMax === 0) this.#lose();
    await this.#sql.end({ timeout: secondsMax });
  }

  async #begun(): Promise<void> {
    this.#check();
    await this.#follow(this.#sql.unsafe(this.#begin).simple());
  }

  #check(): void {
    if (this.#isLost) throw new ConnectionLostError();
  }

  /** A connection that cannot even do this is of no more use. */
  async #rollBack(): Promise<void> {
    if (this.#isLost) return;
    await this.#follow(this.#sql.unsafe("ROLLBACK")).catch(() => this.#lose());
  }

  /** Waits for a statement, but no longer than the connection lasts. */
  async #follow<T>(statement: PromiseLike<T>): Promise<T> {
    const { promise: lost, reject } = Promise.withResolvers<never>();
    this.#pending.add(reject);
    try {
      return await Promise.race([statement, lost]);
    } catch (error) {
      // The driver goes on with a greeting that such a server takes for nonsense.
      throw this.#isWithoutTls ? new NoTlsError("the server has no TLS", { cause: error }) : error;
    } finally {
      this.#pending.delete(reject);
    }
  }

  #lose(): void {
    this.#isLost = true;
    const error = new ConnectionLostError();
    // The driver's own error says more, where there is one: it comes first.
    const pending = [...this.#pending];
    if (pending.length > 0) setTimeout(() => pending.forEach((reject) => reject(error)), 0);
  }
}

/** What the driver pushes the messages of a COPY into. */
type CopyStream = {
  push(message: Uint8Array<ArrayBuffer> | null): boolean;
  once(event: "error", listener: (error: Error) => void): void;
};

/** What a connection hears of its socket. */
type SocketHearer = {
  readonly lost: () => void;
  /** The server was asked for TLS, and has none. */
  readonly noTls: () => void;
};

const ONE = { simple: false } as postgres.UnsafeQueryOptions;

/**
 * How a transaction begins. Its settings are its own: behind a pooler a session's would be those of
 * whoever comes next on the same connection, and a session that only reads would not know it.
 */
function beginning({ readOnly = false, statementMsMax }: DatabaseOptions): string {
  return `BEGIN${readOnly ? " READ ONLY" : ""}; SET LOCAL jit = off; ` +
    `SET LOCAL statement_timeout = ${statementMsMax}`;
}

type ConnectionOptions = DatabaseOptions & { readonly isPooled: boolean };

function connect(text: string, options: ConnectionOptions, on: SocketHearer): postgres.Sql {
  const { name, isPooled, statementMsMax } = options;
  const tls = readTls(text);
  let reached = "";
  return postgres(tls.url, {
    max: 1,
    ssl: driverTls(tls, () => reached),
    connect_timeout: (options.connectMsMax ?? CONNECT_MS_MAX) / 1000,
    max_lifetime: null,
    // Statements are made of settings and counts: named ones would pile up, and poolers dislike them.
    prepare: false,
    onnotice: () => {},
    connection: {
      application_name: name,
      TimeZone: "UTC",
      // For statements outside of transactions: a pooler knows none of these. Plans of a few ms are
      // estimated dear enough to be compiled for a second; of a refresh over many chunks for a
      // minute. Text: the driver leaves out what is false.
      ...(isPooled ? {} : { jit: "off", statement_timeout: String(statementMsMax) }),
    } as Record<string, unknown>,
    // Once TLS has begun, the socket's own listeners are gone: then the driver alone hears of its end.
    onclose: on.lost,
    socket: socketOnce((address) => {
      reached = address.host[0];
      const socket = openSocket(address, on.lost);
      if (tls.mustEncrypt) socket.once("data", ([first]) => first === NO_TLS && on.noTls());
      return socket;
    }),
  } as postgres.Options<Record<string, never>>);
}

/** The server's answer to a client that asks for TLS: the letter N. */
const NO_TLS = 78;
