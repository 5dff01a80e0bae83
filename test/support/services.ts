/**
 * The real services that the tests talk to: started once for a whole run and named to the tests by environment
 * variables, so that a test never starts one by itself. The embedded driver set needs none.
 */
import { connect } from "node:net";
import type { ContainerEngine } from "./services/containers.ts";
import { findContainerEngine, startKafkaContainer, startRedisContainer } from "./services/containers.ts";
import { requireRedis } from "./services/debian-packages.ts";
import { requireKafkaClasspath } from "./services/kafka-jars.ts";
import { startKafka } from "./services/kafka.ts";
import { startRedis } from "./services/redis.ts";

export interface Services extends AsyncDisposable {
  /** Added to the environment of every suite: REDIS_URL and KAFKA_BROKERS. */
  readonly env: Readonly<Record<"REDIS_URL" | "KAFKA_BROKERS", string>>;
}

export interface ServicesOptions {
  /** Environment: a service that it names is used as it is, and left running. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ports of the services that are started; free ones unless given. */
  readonly redisPort?: number | undefined;
  readonly kafkaPort?: number | undefined;
}

const CONNECT_WITHIN_MS = 5_000;
const KAFKA_PORT = "9092";
const REDIS_PORT = "6379";

/**
 * Resolves once both services answer: those that the environment names, else containers where an engine answers, else this
 * machine's own programs. What this started ends when it is disposed, or when this process ends in any other way. Rejects,
 * naming the remedy, when a service can neither be found nor started.
 */
export async function openServices({ env, redisPort, kafkaPort }: ServicesOptions): Promise<Services> {
  const named = { redis: nonEmpty(env["REDIS_URL"]), kafka: nonEmpty(env["KAFKA_BROKERS"]) };
  await Promise.all([
    named.redis === undefined ? null : reach("REDIS_URL", redisAddress(named.redis)),
    named.kafka === undefined ? null : reach("KAFKA_BROKERS", kafkaAddress(named.kafka)),
  ]);
  const isWanted = { redis: named.redis === undefined, kafka: named.kafka === undefined };
  const started = await startWanted(isWanted, { redis: redisPort, kafka: kafkaPort });
  return {
    env: {
      REDIS_URL: named.redis ?? `redis://${started.redis}`,
      KAFKA_BROKERS: named.kafka ?? started.kafka,
    },
    [Symbol.asyncDispose]: started[Symbol.asyncDispose],
  };
}

type EachService<T> = Readonly<Record<"redis" | "kafka", T>>;

/** A start of each service, at the port that is asked for or at a free one. */
type Starts = EachService<(port: number | undefined) => Promise<StartedService>>;

interface StartedService extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/** `host:port` of what was wanted; an empty text for the others. */
type StartedServices = EachService<string> & AsyncDisposable;

async function startWanted(
  isWanted: EachService<boolean>,
  ports: EachService<number | undefined>,
): Promise<StartedServices> {
  const engine = isWanted.redis || isWanted.kafka ? await findContainerEngine() : null;
  if (engine !== null) {
    console.error("A container engine answers: Redis and Kafka run in it.");
    try {
      return await startBoth(inContainers(engine), isWanted, ports);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      console.error(`The container engine cannot serve the tests (${why}): this machine's own programs will.`);
    }
  }
  // First, and one after the other: an installation holds the event loop, and would outlast the wait for a service.
  if (isWanted.redis) requireRedis();
  if (isWanted.kafka) requireKafkaClasspath();
  return startBoth(asProcesses, isWanted, ports);
}

const inContainers = (engine: ContainerEngine): Starts => ({
  redis: (port) => startRedisContainer(engine, port),
  kafka: (port) => startKafkaContainer(engine, port),
});

const asProcesses: Starts = {
  redis: async (port) => {
    const server = await startRedis(port === undefined ? {} : { port });
    return { host: "127.0.0.1", port: server.port, [Symbol.asyncDispose]: server[Symbol.asyncDispose] };
  },
  kafka: async (port) => {
    const cluster = await startKafka({ brokers: 1, ...(port === undefined ? {} : { port }) });
    return { ...kafkaAddress(cluster.brokers), [Symbol.asyncDispose]: cluster[Symbol.asyncDispose] };
  },
};

/** Beside each other. When one does not start, the other has ended when this rejects. */
async function startBoth(
  starts: Starts,
  isWanted: EachService<boolean>,
  ports: EachService<number | undefined>,
): Promise<StartedServices> {
  await using opened = new AsyncDisposableStack();
  const [redis, kafka] = await Promise.allSettled([
    isWanted.redis ? starts.redis(ports.redis) : null,
    isWanted.kafka ? starts.kafka(ports.kafka) : null,
  ]);
  const addressOf = (outcome: PromiseSettledResult<StartedService | null>): string => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value === null ? "" : `${outcome.value.host}:${outcome.value.port}`;
  };
  for (const outcome of [redis, kafka]) if (outcome.status === "fulfilled") opened.use(outcome.value);
  const addresses = { redis: addressOf(redis), kafka: addressOf(kafka) };
  const owned = opened.move();
  return { ...addresses, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** A variable that is set to nothing is not set. */
function nonEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function redisAddress(url: string): Address {
  const { hostname, port } = new URL(url);
  return { host: hostname.replaceAll(/[[\]]/g, ""), port: Number(port || REDIS_PORT) };
}

/** The first of the brokers; the others need not be up. */
function kafkaAddress(brokers: string): Address {
  const [, host = "", port = KAFKA_PORT] = /^\s*\[?([^,\]]*?)\]?(?::(\d+))?\s*(?:,|$)/.exec(brokers) ?? [];
  return { host, port: Number(port) };
}

/** Rejects when nothing listens there: better one clear complaint than a hundred failing tests. */
function reach(variable: string, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const fail = (why: string): void => {
      socket.destroy();
      reject(
        new Error(`${variable} names ${host}:${port}, where nothing answers (${why}): start it there, or unset it`),
      );
    };
    socket.setTimeout(CONNECT_WITHIN_MS, () => fail(`waited ${CONNECT_WITHIN_MS} ms`));
    socket.once("error", (error) => fail(error.message));
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}
