/** The clients that users read our topics with, as processes of their own. */
import { isKept, keptFolder } from "../kept_folder.ts";
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
const CONFLUENT_KAFKA = "2.16.1";
const CONFLUENT_FOLDER = `confluent-kafka-${CONFLUENT_KAFKA}`;
const PYTHON = "python3";
const decoder = new TextDecoder();

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
    lack: () =>
      confluentKafka().then(() => null, (error) => {
        console.error(error);
        return "no confluent-kafka: Python 3 and its pip bring it";
      }),
    ask: async (request) =>
      await answer(PYTHON, [`${HERE}librdkafka_client.py`], request, {
        PYTHONPATH: await confluentKafka(),
      }),
  },
];

/** The folder of Python's package, fetched once; empty where it is installed. */
async function confluentKafka(): Promise<string> {
  if (!await isKept(CONFLUENT_FOLDER)) {
    const { success } = await run(PYTHON, ["-c", "import confluent_kafka"]);
    if (success) return "";
  }
  return await keptFolder(CONFLUENT_FOLDER, async (folder) => {
    const install = ["-m", "pip", "install", "--quiet", "--target", folder];
    const named = `confluent-kafka==${CONFLUENT_KAFKA}`;
    const { success, stderr } = await run(PYTHON, [...install, named]);
    if (!success) throw new Error(`no ${named}: ${stderr}`);
  });
}

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

type Said = { readonly success: boolean; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end; one that is not there fails. */
async function run(
  program: string,
  args: readonly string[],
  { stdin = "", env = {} }: {
    readonly stdin?: string;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<Said> {
  try {
    const options = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    const process = new Deno.Command(program, { args: [...args], env, ...options }).spawn();
    const [{ success, stdout, stderr }] = await Promise.all([
      process.output(),
      new Blob([stdin]).stream().pipeTo(process.stdin),
    ]);
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { success: false, stdout: "", stderr: error.message };
  }
}
