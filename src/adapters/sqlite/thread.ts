/** A thread that answers requests one by one, in the order they are made. */
import { codeOf } from "./errors.ts";

/** A request to a thread, as it is posted. */
export type Posted<Request> = { readonly id: number; readonly request: Request };

/** An answer, as it is posted. */
export type Answered =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: PostedError };

/** An error as it goes from thread to thread. */
export type PostedError = {
  readonly name: string;
  readonly message: string;
  readonly code: number | null;
  readonly hint: string | undefined;
};

/** The thread was given up while it worked. */
export class ThreadEndedError extends Error {
  override name = "ThreadEndedError";
}

/** One thread, as its caller has it. */
export class Thread<Request> {
  readonly #worker: Worker;
  readonly #errorOf: (error: PostedError) => Error;
  readonly #waiting = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  #nextId = 1;
  #failure: Error | null = null;

  /** `module` is the URL of the thread's code; `errorOf` makes its errors errors of this side. */
  constructor(module: string, errorOf: (error: PostedError) => Error) {
    this.#errorOf = errorOf;
    this.#worker = new Worker(module, { type: "module" });
    this.#worker.onmessage = (event: MessageEvent<Answered>) => this.#settle(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end(new Error(`the store's thread failed: ${event.message}`));
    };
  }

  /** Requests under way. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Asks; what is in `transfer` is handed over, not copied. */
  ask(request: Request, transfer: Transferable[] = []): Promise<unknown> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request } satisfies Posted<Request>, transfer);
    });
  }

  /** Ends the thread; requests under way and later ones reject with the reason. */
  end(reason: Error): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  #settle(answer: Answered): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.ok) waiting?.resolve(answer.value);
    else waiting?.reject(this.#errorOf(answer.error));
  }
}

/** The worker's own global, of which the page types know nothing. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<unknown>) => void;
  postMessage(message: Answered): void;
};

/** In a thread: answers each request by `handle`. */
export function answerRequests<Request>(handle: (request: Request) => unknown): void {
  scope.onmessage = async (event) => {
    const { id, request } = event.data as Posted<Request>;
    try {
      const answer = handle(request);
      // Awaited only where there is something to wait for: requests are answered in their order.
      const value = answer instanceof Promise ? await answer : answer;
      scope.postMessage({ id, ok: true, value });
    } catch (error) {
      scope.postMessage({ id, ok: false, error: postedOf(error) });
    }
  };
}

function postedOf(error: unknown): PostedError {
  if (!(error instanceof Error)) {
    return { name: "Error", message: String(error), code: null, hint: undefined };
  }
  const { name, message } = error;
  return { name, message, code: codeOf(error), hint: (error as { hint?: string }).hint };
}
