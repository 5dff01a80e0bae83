/** Kafka's own jars, fetched once by Maven into a folder that git ignores: a later run finds them there. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireJava, requireMaven } from "./debian-packages.ts";

/** 4.4.0 is newer, but its kafka-tools, which formats a broker's folder, is not to be had. */
const KAFKA_VERSION = "4.3.1";
const LOG4J_VERSION = "2.25.5";
const FETCH_WITHIN_MS = 300_000;

const cache = join(import.meta.dirname, "../../../node_modules/.cache/posthaste-kafka");

/** Are the jars still to be fetched by Maven? */
export function isKafkaMissing(): boolean {
  return !existsSync(join(cache, `jars-${KAFKA_VERSION}`));
}

/** What `java -cp` takes. Fetches the jars (about 45 MB) when they are not there, saying so. */
export function requireKafkaClasspath(): string {
  requireJava();
  const jars = join(cache, `jars-${KAFKA_VERSION}`);
  if (!existsSync(jars)) fetchJars(jars);
  return join(jars, "*");
}

/** Into a folder of its own, renamed at the end: a fetch that was broken off leaves nothing that looks whole. */
function fetchJars(jars: string): void {
  requireMaven();
  console.log(`fetching Kafka ${KAFKA_VERSION} by Maven (about 45 MB, kept in node_modules/.cache)`);
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "fetch-"));
  try {
    writeFileSync(join(folder, "pom.xml"), pom());
    const { status, stdout, stderr } = spawnSync(
      "mvn",
      ["-q", "-B", "-ntp", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=jars"],
      { cwd: folder, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8", timeout: FETCH_WITHIN_MS },
    );
    if (status !== 0) {
      const remedy = "give Maven a way to Maven Central, or name running services by REDIS_URL and KAFKA_BROKERS";
      throw new Error(`Maven could not fetch Kafka ${KAFKA_VERSION}: ${remedy}\n${(stdout + stderr).slice(-1_000)}`);
    }
    // Another run may have been quicker; its jars are the same.
    if (!existsSync(jars)) renameSync(join(folder, "jars"), jars);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function pom(): string {
  const dependency = (group: string, artifact: string, version: string): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>posthaste</groupId><artifactId>test-services</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    ${dependency("org.apache.kafka", "kafka_2.13", KAFKA_VERSION)}
    ${dependency("org.apache.kafka", "kafka-tools", KAFKA_VERSION)}
    ${dependency("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION)}
  </dependencies>
</project>
`;
}
