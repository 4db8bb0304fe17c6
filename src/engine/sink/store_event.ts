import type { WorkerEvent } from "../event.ts";
import type { StoreAwayError } from "./ports.ts";

/** That the store is away, or answers and refuses, or is back, as a line of the log. */
export function storeEvent(trouble: StoreAwayError | null): WorkerEvent {
  if (trouble === null) return { level: "info", event: "database_back", fields: {} };
  const { message, hint = null, sqlstate } = trouble;
  const fields = { error: message, hint };
  return sqlstate === null
    ? { level: "warn", event: "database_away", fields }
    : { level: "error", event: "database_refuses", fields: { ...fields, sqlstate } };
}
