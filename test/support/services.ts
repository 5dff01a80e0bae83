/**
 * The real services that the tests talk to: started once for a whole run and named to the tests by environment
 * variables, so that a test never starts one by itself. The embedded driver set needs none.
 */
import { connect } from "node:net";
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

interface Service extends AsyncDisposable {
  readonly value: string;
}

const CONNECT_WITHIN_MS = 5_000;
const KAFKA_PORT = "9092";
const REDIS_PORT = "6379";

/**
 * Resolves once both services answer. What this started ends when it is disposed, or when this process ends in any
 * other way. Rejects, naming the remedy, when a service can neither be found nor started.
 */
export async function openServices({ env, redisPort, kafkaPort }: ServicesOptions): Promise<Services> {
  // First, and one after the other: an installation holds the event loop, and would outlast the wait for a service.
  if (isUnset(env["REDIS_URL"])) requireRedis();
  if (isUnset(env["KAFKA_BROKERS"])) requireKafkaClasspath();
  await using opened = new AsyncDisposableStack();
  const [redis, kafka] = await Promise.allSettled([
    openService("REDIS_URL", env["REDIS_URL"], redisAddress, async () => {
      const server = await startRedis(redisPort === undefined ? {} : { port: redisPort });
      return { value: server.url, [Symbol.asyncDispose]: server[Symbol.asyncDispose] };
    }),
    openService("KAFKA_BROKERS", env["KAFKA_BROKERS"], kafkaAddress, async () => {
      const cluster = await startKafka({ brokers: 1, ...(kafkaPort === undefined ? {} : { port: kafkaPort }) });
      return { value: cluster.brokers, [Symbol.asyncDispose]: cluster[Symbol.asyncDispose] };
    }),
  ]);
  if (redis.status === "fulfilled") opened.use(redis.value);
  if (kafka.status === "fulfilled") opened.use(kafka.value);
  if (redis.status === "rejected") throw redis.reason;
  if (kafka.status === "rejected") throw kafka.reason;
  const owned = opened.move();
  return {
    env: { REDIS_URL: redis.value.value, KAFKA_BROKERS: kafka.value.value },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** The service that the variable names, or one that is started. */
async function openService(
  variable: string,
  given: string | undefined,
  addressOf: (value: string) => Address,
  start: () => Promise<Service>,
): Promise<Service> {
  if (isUnset(given)) return start();
  await reach(variable, addressOf(given));
  return { value: given, [Symbol.asyncDispose]: async () => {} };
}

function isUnset(value: string | undefined): value is undefined | "" {
  return value === undefined || value === "";
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
