/** What a worker or a sink says of itself: one structured log line an event. */
export type WorkerEvent = {
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  readonly fields: Readonly<Record<string, string | number | null>>;
};
