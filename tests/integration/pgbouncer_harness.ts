import { freePort } from "./ports.ts";

const START_MS_MAX = 10_000;
const NOBODY = 65_534;

/** Debian's pgbouncer before one database, each transaction on any of two connections. */
export async function startPgbouncer(
  database: string,
  settings = "",
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const target = new URL(database);
  const port = freePort();
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-pgbouncer-" });
  await Deno.chmod(folder, 0o777);
  const name = target.pathname.slice(1);
  await Deno.writeTextFile(`${folder}/users.txt`, `"${target.username}" ""\n`);
  await Deno.writeTextFile(
    `${folder}/pgbouncer.ini`,
    `[databases]
${name} = host=${target.hostname} port=${target.port} dbname=${name} user=${target.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
auth_file = ${folder}/users.txt
pool_mode = transaction
default_pool_size = 4
${settings}
`,
  );
  const user = Deno.uid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const child = new Deno.Command("pgbouncer", {
    args: ["-q", `${folder}/pgbouncer.ini`],
    ...user,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const url = new URL(database);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  const stop = async () => {
    child.kill("SIGINT");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  };
  for (const giveUpAt = performance.now() + START_MS_MAX;;) {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
    if (socket !== null) {
      socket.close();
      return { url: url.href, stop };
    }
    if (performance.now() > giveUpAt) {
      await stop();
      throw new Error("pgbouncer does not answer");
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
