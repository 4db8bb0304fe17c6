import type { LiveStatus, RunState } from "../api/ports.ts";
import type { Progress } from "../engine/pipeline.ts";

const RATE_WINDOW_MS = 3000;

/** What the status page shows of a pipeline in this process. */
export class LiveTracker {
  #status: LiveStatus;
  #samples: { atMs: number; readings: number }[] = [];
  readonly #nowMs: () => number;

  constructor(nowMs: () => number, source: LiveStatus["source"] = "replay") {
    this.#nowMs = nowMs;
    this.#status = {
      state: "starting",
      source,
      message: null,
      problems: [],
      inputs: "",
      rowsRead: 0,
      rowsTotal: null,
      readingsPerSecond: 0,
      eventTimeMs: null,
      startedAtMs: nowMs(),
      lastProgressAtMs: nowMs(),
      openGaps: null,
    };
  }

  /** The status now; a rate that nothing has moved for a while is 0. */
  get status(): LiveStatus {
    const { state, lastProgressAtMs } = this.#status;
    const idle = state !== "running" || this.#nowMs() - lastProgressAtMs > RATE_WINDOW_MS;
    return idle ? { ...this.#status, readingsPerSecond: 0 } : this.#status;
  }

  begin(inputs: string, rowsTotal: number | null): void {
    this.#update({ inputs, rowsTotal, state: "running", message: null });
  }

  end(state: RunState, message: string | null = null): void {
    this.#update({ state, message });
  }

  /** Says what keeps readings from the tables; none: they get there. It is no progress. */
  tell(problems: readonly string[]): void {
    const isStalled = problems.length > 0;
    const message = isStalled ? problems.join("; ") : null;
    this.#status = {
      ...this.#status,
      ...{ problems, message, state: isStalled ? "stalled" : "running" },
    };
  }

  progress({ rowsRead, readingsFolded, eventTimeMs }: Progress): void {
    const atMs = this.#nowMs();
    this.#samples.push({ atMs, readings: readingsFolded });
    while (this.#samples.length > 2 && atMs - this.#samples[0].atMs > RATE_WINDOW_MS) {
      this.#samples.shift();
    }
    const [oldest] = this.#samples;
    const seconds = (atMs - oldest.atMs) / 1000;
    const readingsPerSecond = seconds > 0 ? (readingsFolded - oldest.readings) / seconds : 0;
    const { source, rowsRead: before, eventTimeMs: beforeMs } = this.#status;
    const hasMoved = rowsRead !== before || eventTimeMs !== beforeMs;
    const change = { rowsRead, readingsPerSecond, eventTimeMs };
    // Of a database that others write, only its figures tell that they do.
    if (source === "database" && !hasMoved) this.#status = { ...this.#status, ...change };
    else this.#update(change);
  }

  #update(change: Partial<LiveStatus>): void {
    this.#status = { ...this.#status, ...change, lastProgressAtMs: this.#nowMs() };
  }
}
