/**
 * Redis and Kafka in containers, by Testcontainers, where a container engine answers: the images that docker-compose.yml
 * names, with the settings of the tests' own processes (`redis.ts`, `kafka.ts`). Removed with their data at the end; after
 * a SIGKILL by the reaper of Testcontainers, where that is not turned off.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { StartedTestContainer } from "testcontainers";
import { GenericContainer, getContainerRuntimeClient, Wait } from "testcontainers";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import { freePort } from "./free-ports.ts";
import { brokerProperties } from "./kafka-properties.ts";
import { DATA_CONF } from "./redis.ts";

export interface ContainerEngine {
  /** Where the ports that it publishes are found: "localhost", or the machine that DOCKER_HOST names. */
  readonly host: string;
}

export interface ContainedService extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/** A frozen engine takes connections and says nothing. */
const ENGINE_ANSWERS_WITHIN_MS = 5_000;
/** An image may have to be pulled first: Kafka's has 400 MB. From there on the engine is given up. */
const READY_WITHIN_MS = 300_000;
const STOP_WITHIN_MS = 30_000;
const REDIS_PORT = 6379;
const KAFKA_PORT = 9092;
const KAFKA_CONTROLLER_PORT = 9093;
const KAFKA_OWN_PORT = 9094;

let asked: Promise<ContainerEngine | null> | undefined;

/** The engine that DOCKER_HOST, the settings of Testcontainers or a socket leads to; null where none answers. Asks once. */
export function findContainerEngine(): Promise<ContainerEngine | null> {
  asked ??= askEngine();
  return asked;
}

async function askEngine(): Promise<ContainerEngine | null> {
  try {
    const asking = await inTime(systemClock, ENGINE_ANSWERS_WITHIN_MS, getContainerRuntimeClient());
    return asking.kind === "done" ? { host: asking.value.info.containerRuntime.host } : null;
  } catch {
    return null;
  }
}

/** Resolves once the server answers; a free port unless one is given. */
export async function startRedisContainer(engine: ContainerEngine, port?: number): Promise<ContainedService> {
  const settings = DATA_CONF.map((line) => line.split(" ")).flatMap(([name, ...words]) => [`--${name}`, ...words]);
  const published = port ?? (await freePort());
  const container = new LocalContainer(imageOf("redis"), engine)
    .withExposedPorts({ container: REDIS_PORT, host: published })
    // In memory: a layered file system may hold a sync up for longer than a caller of Redis waits.
    .withTmpFs({ "/data": "rw" })
    .withCommand(["redis-server", ...settings.map((word) => (word === '""' ? "" : word))])
    .withWaitStrategy(Wait.forSuccessfulCommand("redis-cli ping"));
  return contained(engine, published, await startWithin(container));
}

/** Resolves once the broker, which is its own controller, serves clients; a free port unless one is given. */
export async function startKafkaContainer(engine: ContainerEngine, port?: number): Promise<ContainedService> {
  const published = port ?? (await freePort());
  const place = {
    id: 1,
    port: KAFKA_PORT,
    controllerPorts: [KAFKA_CONTROLLER_PORT],
    folder: "/tmp/kafka",
    // The broker reaches itself inside the container, and clients reach it at the published port.
    proxied: { advertised: published, own: KAFKA_OWN_PORT },
  };
  const settings = new Map(brokerProperties(place).map((line) => splitOnce(line, "=")));
  for (const name of ["listeners", "advertised.listeners"])
    settings.set(name, withHost(settings.get(name) ?? "", name === "listeners" ? "0.0.0.0" : addressOf(engine.host)));
  const container = new LocalContainer(imageOf("apache/kafka"), engine)
    .withExposedPorts({ container: KAFKA_PORT, host: published })
    .withEnvironment(Object.fromEntries([...settings].map(([name, value]) => [variableOf(name), value])))
    .withWaitStrategy(Wait.forLogMessage("Kafka Server started"));
  return contained(engine, published, await startWithin(container));
}

/** Publishes its ports on the loopback interface alone where the engine is on this machine. */
class LocalContainer extends GenericContainer {
  readonly #engine: ContainerEngine;

  constructor(image: string, engine: ContainerEngine) {
    super(image);
    this.#engine = engine;
  }

  protected override beforeContainerCreated = async (): Promise<void> => {
    if (!["localhost", "127.0.0.1", "::1"].includes(this.#engine.host)) return;
    const bindings = this.hostConfig.PortBindings as Record<string, { HostIp?: string }[]>;
    for (const binding of Object.values(bindings).flat()) binding.HostIp = "127.0.0.1";
  };
}

/** What starts after it was given up is stopped again. */
async function startWithin(container: GenericContainer): Promise<StartedTestContainer> {
  const starting = container.withStartupTimeout(READY_WITHIN_MS).start();
  const started = await inTime(systemClock, READY_WITHIN_MS, starting);
  if (started.kind === "done") return started.value;
  void starting.then((late) => late.stop()).catch(() => undefined);
  throw new Error(`a container was not ready in ${READY_WITHIN_MS / 1000} s`);
}

function contained({ host }: ContainerEngine, port: number, container: StartedTestContainer): ContainedService {
  return {
    host: addressOf(host),
    port,
    [Symbol.asyncDispose]: async () => {
      await inTime(systemClock, STOP_WITHIN_MS, container.stop());
    },
  };
}

/** The published ports are bound there, and "localhost" may be ::1. */
function addressOf(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}

/** As docker-compose.yml names it, so that both run the same. */
function imageOf(name: string): string {
  const compose = readFileSync(join(import.meta.dirname, "../../../docker-compose.yml"), "utf8");
  const image = compose.match(/^ +image: (\S+)$/gm)?.map((line) => line.trim().slice("image: ".length));
  const found = image?.find((each) => each.startsWith(`${name}:`));
  if (found === undefined) throw new Error(`docker-compose.yml names no image ${name}`);
  return found;
}

/** Kafka's image takes `log.dirs` as KAFKA_LOG_DIRS. */
function variableOf(property: string): string {
  return `KAFKA_${property.toUpperCase().replaceAll(".", "_")}`;
}

/** The host of the listener that clients use, which comes first. */
function withHost(listeners: string, host: string): string {
  return listeners.replace("CLIENTS://127.0.0.1", `CLIENTS://${host}`);
}

function splitOnce(line: string, separator: string): [name: string, value: string] {
  const at = line.indexOf(separator);
  return [line.slice(0, at), line.slice(at + separator.length)];
}
