/**
 * Kafka's jars from Maven Central, fetched once a version into
 * `~/.cache/gridwatch-tests/kafka-<version>`. Needs `mvn` and Java 17.
 *
 * @returns The folder of the jars.
 */
export async function kafkaJars(version: string): Promise<string> {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
  const folder = `${cache}/gridwatch-tests/kafka-${version}`;
  if (await isFolder(folder)) return folder;
  const building = await Deno.makeTempDir({ prefix: "gridwatch-jars-" });
  try {
    await Deno.writeTextFile(`${building}/pom.xml`, pom(version));
    const { success, stdout } = await new Deno.Command("mvn", {
      args: [
        "-q",
        "-B",
        "-U",
        "dependency:copy-dependencies",
        `-DoutputDirectory=${building}/jars`,
      ],
      cwd: building,
      stdout: "piped",
      stderr: "inherit",
    }).output();
    if (!success) throw new Error(`no Kafka ${version}: ${new TextDecoder().decode(stdout)}`);
    await Deno.mkdir(`${cache}/gridwatch-tests`, { recursive: true });
    await move(`${building}/jars`, folder);
  } finally {
    await Deno.remove(building, { recursive: true });
  }
  return folder;
}

/** Into its place in one step, so that nobody sees half of it; another may have been first. */
async function move(from: string, to: string): Promise<void> {
  const beside = `${to}.${Deno.pid}`;
  await Deno.mkdir(beside, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(`${from}/${name}`, `${beside}/${name}`);
  }
  try {
    await Deno.rename(beside, to);
  } catch (error) {
    await Deno.remove(beside, { recursive: true });
    if (!await isFolder(to)) throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isDirectory, () => false);
}

/** Not needed by a broker or the console tools: other logging bindings, Connect's web server. */
const EXCLUDED = [
  "org.slf4j:slf4j-reload4j",
  "org.apache.logging.log4j:log4j-slf4j-impl",
  "org.apache.logging.log4j:log4j-slf4j2-impl",
  "org.eclipse.jetty:*",
  "org.eclipse.jetty.ee10:*",
  "org.glassfish.jersey.core:*",
  "org.glassfish.jersey.containers:*",
  "org.glassfish.jersey.inject:*",
];

/** Kafka logs through slf4j, 1.7 of it; the simple binding is to be the only one. */
function pom(version: string): string {
  const exclusions = EXCLUDED.map((excluded) => {
    const [group, artifact] = excluded.split(":");
    return `<exclusion>${coordinate("groupId", group)}${
      coordinate("artifactId", artifact)
    }</exclusion>`;
  }).join("");
  const kafka = (artifact: string) =>
    dependency("org.apache.kafka", artifact, version, `<exclusions>${exclusions}</exclusions>`);
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
    <groupId>gridwatch</groupId><artifactId>kafka-tests</artifactId><version>1</version>
    <packaging>pom</packaging>
    <dependencies>
      ${kafka("kafka_2.13")}
      ${kafka("kafka-tools")}
      ${dependency("org.slf4j", "slf4j-simple", "1.7.36", "")}
    </dependencies></project>`;
}

function dependency(group: string, artifact: string, version: string, more: string): string {
  const coordinates = coordinate("groupId", group) + coordinate("artifactId", artifact) +
    coordinate("version", version);
  return `<dependency>${coordinates}${more}</dependency>`;
}

function coordinate(tag: string, value: string): string {
  return `<${tag}>${value}</${tag}>`;
}
