import { freePort } from "./ports.ts";
import { until } from "./kafka_broker.ts";

/** A page as Chromium shows it; null where there is no Chromium. */
export async function openInChromium(url: string): Promise<ShownPage | null> {
  const program = await findChromium();
  if (program === null) return null;
  const port = freePort();
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-chromium-" });
  const browser = new Deno.Command(program, {
    args: [
      ...["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"],
      ...[`--remote-debugging-port=${port}`, `--user-data-dir=${folder}`, url],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const target = await until("Chromium shows the page", async () => {
    const response = await fetch(`http://127.0.0.1:${port}/json`).catch(() => null);
    if (response === null) return undefined;
    const targets = await response.json() as { type: string; webSocketDebuggerUrl: string }[];
    return targets.find(({ type }) => type === "page");
  });
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  return new ShownPage(socket, browser, folder);
}

async function findChromium(): Promise<string | null> {
  for (const name of ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]) {
    if (await Deno.stat(name).then(() => true, () => false)) return name;
  }
  return null;
}

export class ShownPage implements AsyncDisposable {
  #asked = 0;

  constructor(
    readonly socket: WebSocket,
    readonly browser: Deno.ChildProcess,
    readonly folder: string,
  ) {}

  /** The text of what a selector finds; empty while the page is still being opened. */
  async textOf(selector: string): Promise<string> {
    const expression = `document.querySelector(${JSON.stringify(selector)})?.innerText ?? ""`;
    const answer = await this.#ask("Runtime.evaluate", { expression });
    return String((answer?.result as { value?: unknown } | undefined)?.value ?? "");
  }

  /** Undefined: the browser answered with an error. */
  async #ask(method: string, params: Record<string, unknown>) {
    const id = ++this.#asked;
    const answered = new Promise<Record<string, unknown> | undefined>((resolve) => {
      this.socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.id === id) resolve(message.result);
      };
    });
    this.socket.send(JSON.stringify({ id, method, params }));
    return await answered;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.socket.onclose = resolve);
    this.browser.kill("SIGKILL");
    await this.browser.status;
    await closed;
    await Deno.remove(this.folder, { recursive: true }).catch(() => {}); // its children still end
  }
}
