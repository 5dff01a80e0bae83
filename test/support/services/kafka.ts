/** A Kafka of a test's own in KRaft mode, of one broker or three, for faults: brokers killed, stopped and restarted. */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { requireKafkaClasspath } from "./kafka-jars.ts";
import { livingBrokers } from "./kafka-metadata.ts";
import { brokerProperties, logProperties } from "./kafka-properties.ts";
import type { ServiceProcess } from "./service-process.ts";
import { startService } from "./service-process.ts";
import { openTemporaryFolder } from "./temporary-folder.ts";
import { waitFor } from "./wait-for.ts";

export interface KafkaOptions {
  /** Of three, each is controller as well, so one may fail. Internal topics then have 3 replicas, 2 of them in sync. */
  readonly brokers: 1 | 3;
  /** Where clients find the first broker; a free port unless given. */
  readonly port?: number;
  /** A second door for clients of the first broker, beside the plain one. */
  readonly secure?: SecureListener;
  /** Where clients are sent in place of each broker's own port: to proxies. The brokers among themselves are not. */
  readonly advertisedPorts?: readonly number[];
  /** Holds the brokers' folders, which are removed with it by whoever made it; a temporary one unless given. */
  readonly folder?: string;
  /** Lines of server.properties after the usual ones, which they override. */
  readonly properties?: readonly string[];
}

/** TLS, and a login by PLAIN or SCRAM-SHA-512. */
export interface SecureListener {
  readonly port: number;
  readonly username: string;
  readonly password: string;
  /** A file with the private key and its certificate, PEM. */
  readonly keyFile: string;
}

/** `restart` resolves once the broker serves clients again. */
export interface KafkaBroker extends ServiceProcess {
  /** From 1; the id that metadata names. */
  readonly id: number;
  readonly port: number;
}

/** Disposing kills all brokers and removes their data. */
export interface Kafka extends AsyncDisposable {
  /** `127.0.0.1:port`, comma between, as KAFKA_BROKERS takes it. */
  readonly brokers: string;
  readonly nodes: readonly KafkaBroker[];
  /** Resolves once exactly these brokers are alive in the eyes of each of them: a killed one is fenced. */
  untilAlive(ids: readonly number[]): Promise<void>;
}

/** Three brokers share two cores with everything else. */
const READY_WITHIN_MS = 60_000;
const FORMAT_WITHIN_MS = 30_000;
const ALIVE_WITHIN_MS = 30_000;
/** The longest word of a broker that it serves clients; it comes after it has joined the others. */
const READY_WORD = "Kafka Server started";
const HEAP = { 1: "256m", 3: "192m" } as const;

/** Resolves once each broker serves clients and knows all of them. */
export async function startKafka(options: KafkaOptions): Promise<Kafka> {
  const classpath = requireKafkaClasspath();
  await using started = new AsyncDisposableStack();
  const folder = options.folder ?? started.use(openTemporaryFolder("kafka")).path;
  const ports = await freePorts(3 * options.brokers);
  const clientPorts = ports.slice(0, options.brokers).with(0, options.port ?? ports[0] ?? 0);
  const controllerPorts = ports.slice(options.brokers, 2 * options.brokers);
  const starts = await Promise.allSettled(
    clientPorts.map(async (port, index): Promise<KafkaBroker> => {
      const id = index + 1;
      const { properties } = options;
      const secure = id === 1 ? options.secure : undefined;
      const advertised = options.advertisedPorts?.[index];
      const proxied =
        advertised === undefined ? undefined : { advertised, own: ports[2 * options.brokers + index] ?? 0 };
      const layout = { id, port, controllerPorts, folder: join(folder, String(id)), properties, secure, proxied };
      return { id, port, ...(await startBroker(layout, classpath, HEAP[options.brokers])) };
    }),
  );
  const nodes = starts.flatMap((start) => (start.status === "fulfilled" ? [started.use(start.value)] : []));
  const failed = starts.find((start) => start.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  const untilAlive = (ids: readonly number[]): Promise<void> =>
    waitFor({
      fact: `the Kafka brokers ${ids.join(", ")} to be alive, and no others`,
      withinMs: ALIVE_WITHIN_MS,
      holds: async () => {
        const asked = nodes.filter(({ id }) => ids.includes(id));
        const answers = await Promise.all(asked.map(({ port }) => livingBrokers(port)));
        return answers.every((answer) => answer.join() === ids.toSorted((left, right) => left - right).join());
      },
    });
  await untilAlive(nodes.map(({ id }) => id));
  const owned = started.move();
  return {
    brokers: clientPorts.map((port) => `127.0.0.1:${port}`).join(","),
    nodes,
    untilAlive,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface BrokerLayout {
  readonly id: number;
  readonly port: number;
  readonly controllerPorts: readonly number[];
  readonly folder: string;
  readonly properties: readonly string[] | undefined;
  readonly secure: SecureListener | undefined;
  readonly proxied: { readonly advertised: number; readonly own: number } | undefined;
}

async function startBroker(layout: BrokerLayout, classpath: string, heap: string): Promise<ServiceProcess> {
  const { folder, properties = [], secure } = layout;
  mkdirSync(folder);
  writeFileSync(join(folder, "server.properties"), [...brokerProperties(layout), ...properties].join("\n"));
  writeFileSync(join(folder, "log4j2.properties"), logProperties);
  const login = secure === undefined ? [] : ["--add-scram", scramLogin(secure)];
  await formatFolder(folder, classpath, login);
  return startService({
    name: `kafka-${layout.id}`,
    command: ["java", ...jvmFlags(heap, folder), "-cp", classpath, "kafka.Kafka", "server.properties"],
    folder,
    isReady: (log) => log.includes(READY_WORD),
    readyWithinMs: READY_WITHIN_MS,
  });
}

/** The serial collector and no shared statistics file: small, and quick to start. */
function jvmFlags(heap: string, folder: string): readonly string[] {
  const logging = `-Dlog4j2.configurationFile=${join(folder, "log4j2.properties")}`;
  return [`-Xms${heap}`, `-Xmx${heap}`, "-XX:+UseSerialGC", "-XX:-UsePerfData", logging];
}

function scramLogin({ username, password }: SecureListener): string {
  return `SCRAM-SHA-512=[name=${username},password=${password}]`;
}

/** A broker of KRaft refuses a folder that was not prepared for its cluster. */
function formatFolder(folder: string, classpath: string, options: readonly string[]): Promise<void> {
  const flags = [...jvmFlags("128m", folder), "-XX:TieredStopAtLevel=1", "-cp", classpath];
  const args = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", "server.properties", ...options];
  return new Promise((resolve, reject) => {
    const output: Buffer[] = [];
    const child = spawn("java", [...flags, ...args], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: FORMAT_WITHIN_MS,
      killSignal: "SIGKILL",
    });
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`Kafka could not format a folder:\n${Buffer.concat(output).toString().slice(-2_000)}`));
    });
  });
}

/** 16 bytes in base64; the same for each cluster, because none ever meets another. */
const CLUSTER_ID = "cG9zdGhhc3RlLXRlc3RzIQ";
