import type { WorkerEvent } from "../engine/event.ts";

/** What is out of reach, by what is said of it. */
const BEGINS: Readonly<Record<string, string>> = {
  kafka_unreachable: "Kafka",
  database_away: "database",
  database_refuses: "database",
};
const ENDS: Readonly<Record<string, string>> = {
  kafka_reached: "Kafka",
  database_back: "database",
};

/** What a processor or a sink cannot reach now. */
export type Troubles = {
  /** Notes what a line of the log says of it; `who` told it, where there are several. */
  readonly hear: (event: WorkerEvent, who?: number) => void;
  /** In one line each; empty: all is in reach. */
  readonly now: () => string[];
  /** Whether one of them is out of reach. */
  readonly has: (what: "Kafka" | "database") => boolean;
};

/** Follows a log's lines that something is out of reach, and that it is back. */
export function followTroubles(): Troubles {
  const known = new Map<string, { readonly what: string; readonly said: string }>();
  return {
    hear({ event, fields }, who = 0) {
      const begun = BEGINS[event];
      const ended = ENDS[event];
      const said = `${begun}: ${fields.error}`;
      if (begun !== undefined) known.set(`${who} ${begun}`, { what: begun, said });
      else if (ended !== undefined) known.delete(`${who} ${ended}`);
    },
    now: () => [...new Set([...known.values()].map(({ said }) => said))],
    has: (wanted) => [...known.values()].some(({ what }) => what === wanted),
  };
}
