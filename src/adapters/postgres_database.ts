import { Socket } from "node:net";
import postgres from "postgres";

/** Rows of one statement. */
export type Answer = { readonly columns: string[]; readonly rows: Record<string, unknown>[] };

/** What is sent within one transaction. */
export type Transaction = postgres.TransactionSql;

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
/** A connection that broke is made again at once: whoever uses it backs off. */
const RECONNECT_SECONDS = 0.02;

/** A database by its URL (`postgres://user:password@host:5432/name?sslmode=…`). */
export class PostgresDatabase {
  readonly #open: () => postgres.Sql;
  #sql: postgres.Sql;

  constructor(url: string, options: DatabaseOptions) {
    this.#open = () => connect(url, options);
    this.#sql = this.#open();
  }

  /** Runs one statement with its parameters ($1, $2, …). */
  async query(sql: string, params: readonly unknown[] = []): Promise<Answer> {
    const rows = await this.#sql.unsafe(sql, params as postgres.ParameterOrJSON<never>[]);
    return { columns: (rows.columns ?? []).map(({ name }) => name), rows: [...rows] };
  }

  /** Runs a script of any number of statements; needs a database of one connection. */
  async script(sql: string): Promise<void> {
    try {
      await this.#sql.unsafe(sql).simple();
    } catch (error) {
      await this.#sql.unsafe("ROLLBACK").simple().catch(() => {}); // the first error says why
      throw error;
    }
  }

  /** Runs `work` in a transaction: committed when it resolves, rolled back when it rejects. */
  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#sql.begin(work) as T;
  }

  /** Cuts every connection, and goes on with new ones: for a server that does not answer. */
  async reset(): Promise<void> {
    const old = this.#sql;
    this.#sql = this.#open();
    await old.end({ timeout: 0 });
  }

  /** Ends what runs, within a second. */
  async close(): Promise<void> {
    await this.#sql.end({ timeout: CLOSE_SECONDS_MAX });
  }
}

function connect(url: string, options: DatabaseOptions): postgres.Sql {
  const { connections, name, readOnly = false, statementMsMax } = options;
  return postgres(url, {
    max: connections,
    backoff: () => RECONNECT_SECONDS,
    connect_timeout: (options.connectMsMax ?? CONNECT_MS_MAX) / 1000,
    max_lifetime: null,
    // Statements are made of settings and counts: named ones would pile up, and poolers dislike them.
    prepare: false,
    onnotice: () => {},
    connection: {
      application_name: name,
      TimeZone: "UTC",
      // Plans of a few ms are estimated dear enough to be compiled for a second.
      jit: false,
      statement_timeout: statementMsMax,
      ...(readOnly ? { default_transaction_read_only: true } : {}),
    },
    socket: openSocket,
  } as postgres.Options<Record<string, never>>);
}

/**
 * A socket that sends at once: with Nagle's algorithm a COPY waits for the delayed acknowledgement
 * of what went before it, 40 to 90 ms each time. It is given out while it still connects; the driver
 * hears of a failure from the socket's events.
 */
function openSocket(
  { host, port, path }: { host: string[]; port: number[]; path?: string | false },
): Socket {
  const socket = new Socket();
  socket.once("connect", () => socket.setNoDelay(true));
  if (path) socket.connect(path);
  else socket.connect(port[0], host[0]);
  return Object.assign(socket, { host: host[0], port: port[0] });
}

/** Copies rows in PostgreSQL's binary form into a table. */
export async function copyInto(
  tx: Transaction,
  target: { readonly table: string; readonly columns: readonly string[] },
  bytes: Uint8Array,
): Promise<void> {
  const copying = tx.unsafe(
    `COPY ${target.table} (${target.columns.join(", ")}) FROM STDIN (FORMAT binary)`,
  );
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  // The driver resolves this query with the stream, and tells nobody of an error that comes once all
  // bytes are sent: its `reject` is the only one that hears of it.
  const query = copying as unknown as { reject(error: unknown): void };
  const rejectQuery = query.reject;
  query.reject = (error) => {
    reject(error);
    rejectQuery(error);
  };
  done.catch(() => {});
  const stream = await copying.writable();
  stream.once("error", reject);
  stream.once("finish", () => resolve());
  stream.end(bytes);
  await done;
}
