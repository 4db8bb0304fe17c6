import { redacted } from "../../console/redact.ts";

/** What a check came to. Only `failed` makes the doctor's exit code 1. */
export type CheckState = "ok" | "warning" | "failed" | "skipped" | "not used";

/** What a check found, and what to do about it where there is something to do. */
export type Finding = {
  readonly state: CheckState;
  readonly found: string;
  readonly fix?: string;
};

/** A finding under the name of its check. */
export type CheckResult = {
  readonly check: string;
  readonly state: CheckState;
  readonly found: string;
  readonly fix: string | null;
};

/** One thing to look at. It is given `limitMs` and then counts as failed. */
export type Check = {
  readonly name: string;
  readonly limitMs: number;
  /** Checks before it in its chain without which it cannot be made. */
  readonly needs: readonly string[];
  /** What to do when it throws or runs out of time, unless the error has a hint. */
  readonly fix: string;
  readonly run: (signal: AbortSignal) => Promise<Finding> | Finding;
};

/** Checks that are made one after the other. */
export type Chain = readonly Check[];

/** Makes the findings of a check short to write. */
export const ok = (found: string): Finding => ({ state: "ok", found });
/** Something a person should know, and nothing is broken. */
export const warning = (found: string, fix: string): Finding => ({ state: "warning", found, fix });
/** Something is broken. */
export const failed = (found: string, fix: string): Finding => ({ state: "failed", found, fix });
/** Not looked at. */
export const skipped = (found: string, fix?: string): Finding => ({
  state: "skipped",
  found,
  ...(fix === undefined ? {} : { fix }),
});

/** Nothing is configured there, and nothing needs to be: what stands behind it is not listed. */
export const notUsed = (found: string, fix: string): Finding => ({ state: "not used", found, fix });

/** Runs the chains side by side and each in order; never rejects, never takes longer than the limits. */
export async function runChecks(chains: readonly Chain[]): Promise<CheckResult[]> {
  return (await Promise.all(chains.map(runChain))).flat();
}

async function runChain(chain: Chain): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  const isMissing = (needed: string) =>
    results.some(({ check, state }) =>
      check === needed && (state === "failed" || state === "skipped")
    );
  for (const check of chain) {
    const missing = check.needs.find(isMissing);
    const finding = missing === undefined ? await runCheck(check) : skipped(`needs: ${missing}`);
    results.push(toResult(check.name, finding));
    if (finding.state === "not used") break;
  }
  return results;
}

/** A finding under the name of its check. */
export function toResult(check: string, { state, found, fix }: Finding): CheckResult {
  const shownFix = fix === undefined || fix === "" ? null : redacted(fix);
  return { check, state, found: redacted(found), fix: shownFix };
}

async function runCheck({ run, limitMs, fix }: Check): Promise<Finding> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(() => {
      resolve(failed(`no answer in ${limitMs / 1000} s`, fix));
      controller.abort();
    }, limitMs);
  });
  const running = Promise.resolve().then(() => run(controller.signal))
    .catch((error) => failed(messageOf(error), hintOf(error) ?? fix));
  try {
    return await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
}

/** One line of an error; that of its cause where it only says that something failed. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.message.split("\n")[0].trim();
  if (error instanceof AggregateError && own === "" && error.errors.length > 0) {
    return messageOf(error.errors[0]);
  }
  if (own === "fetch failed" && error.cause !== undefined) return messageOf(error.cause);
  return own === "" ? error.name : own;
}

function hintOf(error: unknown): string | undefined {
  const { hint } = (error ?? {}) as { hint?: unknown };
  return typeof hint === "string" ? hint : undefined;
}

/** A count with its noun: `1 topic`, `2 topics`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}
