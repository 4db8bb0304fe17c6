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

  progress({ rowsRead, readingsFolded, eventTimeMs }: Progress): void {
    const atMs = this.#nowMs();
    this.#samples.push({ atMs, readings: readingsFolded });
    while (this.#samples.length > 2 && atMs - this.#samples[0].atMs > RATE_WINDOW_MS) {
      this.#samples.shift();
    }
    const [oldest] = this.#samples;
    const seconds = (atMs - oldest.atMs) / 1000;
    const readingsPerSecond = seconds > 0 ? (readingsFolded - oldest.readings) / seconds : 0;
    this.#update({ rowsRead, readingsPerSecond, eventTimeMs });
  }

  #update(change: Partial<LiveStatus>): void {
    this.#status = { ...this.#status, ...change, lastProgressAtMs: this.#nowMs() };
  }
}
