import type { WorkerEvent } from "../engine/event.ts";
import { say } from "./shell.ts";

/** One line of JSON: when, how grave, what, and its fields. */
export function logEvent({ level, event, fields }: WorkerEvent): void {
  say(JSON.stringify({ time: new Date().toISOString(), level, event, ...fields }));
}
