/** The clients that users read our topics with, as processes of their own. */
import { run } from "../program.ts";
import { lackOfPackage, PYTHON, pythonPackage } from "../python_package.ts";
import { KAFKAJS } from "./kafkajs_client.ts";
import type { ClientAnswer, ClientRequest, ReadRecord } from "./requests.ts";

export type ForeignClient = {
  readonly name: "kafkajs" | "librdkafka";
  /** What it reads and writes as it is installed. */
  readonly compressions: readonly string[];
  /** Null, or in one line why it cannot be run here and what brings it. */
  lack(): Promise<string | null>;
  /** What it answers; an error of it is one of the test. */
  ask(request: ClientRequest): Promise<readonly ReadRecord[]>;
};

const HERE = new URL("./", import.meta.url).pathname;
const KAFKAJS_OPTIONS = [
  ...["--no-config", `--lock=${HERE}packages.lock`, "--frozen", "--node-modules-dir=none"],
  ...["--no-prompt", "--allow-net", "--allow-env", "--allow-read", "--allow-sys"],
];
/** Python's package, which brings librdkafka. */
const CONFLUENT_KAFKA = {
  name: "confluent-kafka",
  version: "2.16.1",
  module: "confluent_kafka",
} as const;

export const CLIENTS: readonly ForeignClient[] = [
  {
    name: "kafkajs",
    compressions: ["none", "gzip"],
    lack: async () => {
      const code = `await import("${KAFKAJS}")`;
      const { success, stderr } = await run(Deno.execPath(), ["run", ...KAFKAJS_OPTIONS, "-"], {
        stdin: code,
      });
      return success ? null : `no ${KAFKAJS}: ${stderr.trim().split("\n").at(-1)}`;
    },
    ask: (request) =>
      answer(
        Deno.execPath(),
        ["run", ...KAFKAJS_OPTIONS, `${HERE}kafkajs_client.ts`],
        request,
      ),
  },
  {
    name: "librdkafka",
    compressions: ["none", "gzip", "snappy", "lz4", "zstd"],
    lack: () => lackOfPackage(CONFLUENT_KAFKA),
    ask: async (request) =>
      await answer(PYTHON, [`${HERE}librdkafka_client.py`], request, {
        PYTHONPATH: await pythonPackage(CONFLUENT_KAFKA),
      }),
  },
];

async function answer(
  program: string,
  args: readonly string[],
  request: ClientRequest,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly ReadRecord[]> {
  const ended = await run(program, args, { stdin: JSON.stringify(request), env });
  if (!ended.success) throw new Error(`${program} ${args.at(-1)} failed: ${ended.stderr}`);
  const { records }: ClientAnswer = JSON.parse(ended.stdout);
  return records;
}
