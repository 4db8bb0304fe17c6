import { isKept, keptFolder } from "./kept_folder.ts";

/**
 * Kafka's jars from Maven Central, fetched once a version. Needs `mvn` and a Java.
 *
 * @returns The folder of the jars.
 */
export async function kafkaJars(version: string): Promise<string> {
  return await keptFolder(folderName(version), async (folder) => {
    const pomFile = await Deno.makeTempFile({ prefix: "gridwatch-jars-", suffix: ".xml" });
    try {
      await Deno.writeTextFile(pomFile, pom(version));
      const goal = ["dependency:copy-dependencies", `-DoutputDirectory=${folder}`];
      const { success, stdout } = await new Deno.Command("mvn", {
        args: ["-q", "-B", "-U", "-f", pomFile, ...goal],
        stdout: "piped",
        stderr: "inherit",
      }).output();
      if (!success) throw new Error(`no Kafka ${version}: ${new TextDecoder().decode(stdout)}`);
    } finally {
      await Deno.remove(pomFile);
    }
  });
}

/** Whether they have been fetched, so that Maven is not needed any more. */
export async function hasKafkaJars(version: string): Promise<boolean> {
  return await isKept(folderName(version));
}

function folderName(version: string): string {
  return `kafka-${version}`;
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
