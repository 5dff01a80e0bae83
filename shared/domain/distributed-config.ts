/**
 * Settings of the distributed set: Redis and Kafka. Parsed once, each problem named with its variable and the remedy;
 * passwords never appear in an error. What a URL of Redis may look like is the Redis driver's to judge.
 */
import * as v from "valibot";
import type { Environment } from "./config.ts";
import { ConfigError, GatewayProcesses } from "./config.ts";

export interface KafkaSasl {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: string;
}

export interface KafkaConfig {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  readonly isTls: boolean;
  readonly sasl: KafkaSasl | null;
  /** Before each topic and group name. */
  readonly prefix: string;
  /** Of each topic when it is created; what exists must have at least as many. */
  readonly partitions: number;
  readonly replication: number;
  readonly minInSync: number;
  readonly retentionMs: number;
}

export interface DistributedConfig {
  readonly redisUrl: string;
  /** Null: evictable data lies beside the rest. */
  readonly redisCacheUrl: string | null;
  /** Null: 1, or 16 on a cluster. */
  readonly redisShards: number | null;
  /** Before each key and channel, so that deployments can share one Redis. */
  readonly redisPrefix: string;
  /** What waits in Redis while Kafka is away may weigh so much, of all shards. */
  readonly spoolBytesMax: number;
  /** All gateways of the deployment, and all processors: while Redis is away each keeps its share of a rate limit. */
  readonly gatewayCount: number;
  readonly processorCount: number;
  readonly kafka: KafkaConfig;
}

/** Seven days more than the longest wait of the default schedule, rounded up: what a processor that was off for a week still finds. */
export const RETENTION_DAYS_MIN = 8;
const DAY_MS = 24 * 3600 * 1000;

const BROKER = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):(?<port>\d{1,5})$/;
const Brokers = v.pipe(
  v.string(),
  v.transform((text) => text.split(",").map((broker) => broker.trim())),
  v.check(
    (brokers) => brokers.every(isBroker),
    "must be a comma-separated list of host:port, such as kafka-1:9092,kafka-2:9092",
  ),
);

function isBroker(text: string): boolean {
  const port = Number(BROKER.exec(text)?.groups?.["port"] ?? 0);
  return port >= 1 && port <= 65_535;
}

const Whole = (most: number) =>
  v.pipe(
    v.string(),
    v.regex(/^[1-9]\d{0,4}$/, `must be a whole number from 1 to ${most}`),
    v.transform(Number),
    v.maxValue(most, `must be a whole number from 1 to ${most}`),
  );
/** `REDIS_SPOOL_MIB` unless it is set. */
export const SPOOL_BYTES_MAX = 512 * 1024 ** 2;
/** Below it a few large events are refused with all the rest. */
const SPOOL_MIB_MIN = 16;
const SPOOL_MIB_MAX = 262_144;
const SPOOL_MIB = `must be a whole number of MiB from ${SPOOL_MIB_MIN} to ${SPOOL_MIB_MAX}`;
const SpoolMib = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{1,5}$/, SPOOL_MIB),
  v.transform(Number),
  v.minValue(SPOOL_MIB_MIN, SPOOL_MIB),
  v.maxValue(SPOOL_MIB_MAX, SPOOL_MIB),
);
export const Filled = v.pipe(v.string(), v.minLength(1, "must not be empty"));

/** How what lies in Redis is divided, named and bounded, however it is reached. */
export const RedisLayout = {
  REDIS_SHARDS: v.optional(Whole(256)),
  REDIS_PREFIX: v.optional(
    v.pipe(v.string(), v.regex(/^[A-Za-z0-9:._-]{0,100}$/, "must be at most 100 of A-Z a-z 0-9 : . _ -")),
    "",
  ),
  REDIS_SPOOL_MIB: v.optional(SpoolMib, String(SPOOL_BYTES_MAX / 1024 ** 2)),
};

const Settings = v.object({
  REDIS_URL: Filled,
  REDIS_CACHE_URL: v.optional(Filled),
  ...RedisLayout,
  GATEWAY_PROCESSES: v.optional(GatewayProcesses, "1"),
  GATEWAY_COUNT: v.optional(Whole(10_000)),
  PROCESSOR_COUNT: v.optional(Whole(10_000), "1"),
  KAFKA_BROKERS: Brokers,
  KAFKA_TLS: v.optional(v.picklist(["true", "false"], "must be true or false"), "false"),
  KAFKA_SASL_MECHANISM: v.optional(
    v.picklist(["plain", "scram-sha-256", "scram-sha-512"], "must be plain, scram-sha-256 or scram-sha-512"),
  ),
  KAFKA_SASL_USERNAME: v.optional(Filled),
  KAFKA_SASL_PASSWORD: v.optional(Filled),
  KAFKA_PREFIX: v.optional(
    v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]{1,100}$/, "must be 1 to 100 of A-Z a-z 0-9 . _ -")),
    "posthaste.",
  ),
  KAFKA_PARTITIONS: v.optional(Whole(10_000), "6"),
  KAFKA_REPLICATION: v.optional(Whole(99), "1"),
  KAFKA_MIN_ISR: v.optional(Whole(99)),
  KAFKA_RETENTION_DAYS: v.optional(Whole(3650), String(RETENTION_DAYS_MIN)),
});

/** Null when neither `REDIS_URL` nor `KAFKA_BROKERS` is set. Throws `ConfigError` with one line per problem. */
export function parseDistributed(environment: Environment): DistributedConfig | null {
  const hasRedis = isSet(environment["REDIS_URL"]);
  const hasKafka = isSet(environment["KAFKA_BROKERS"]);
  if (!hasRedis && !hasKafka) return null;
  if (!hasKafka) throw new ConfigError([`KAFKA_BROKERS is missing: REDIS_URL is set, and ${BOTH}`]);
  if (!hasRedis) throw new ConfigError([`REDIS_URL is missing: KAFKA_BROKERS is set, and ${BOTH}`]);
  const parsed = v.safeParse(Settings, environment);
  if (!parsed.success) {
    throw new ConfigError(parsed.issues.map((issue) => `${v.getDotPath(issue) ?? "environment"} ${issue.message}`));
  }
  const problems = problemsOf(parsed.output, environment);
  if (problems.length > 0) throw new ConfigError(problems);
  return configOf(parsed.output);
}

const BOTH =
  "the distributed set needs both, for example REDIS_URL=redis://127.0.0.1:6379 and KAFKA_BROKERS=127.0.0.1:9092; with neither, posthaste serve keeps everything in one process";

type Parsed = v.InferOutput<typeof Settings>;

function problemsOf(settings: Parsed, environment: Environment): string[] {
  const problems: string[] = [];
  const sasl = [settings.KAFKA_SASL_MECHANISM, settings.KAFKA_SASL_USERNAME, settings.KAFKA_SASL_PASSWORD];
  if (sasl.some((part) => part === undefined) && sasl.some((part) => part !== undefined)) {
    problems.push(
      "KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD go together: set all three or none",
    );
  }
  if ((settings.KAFKA_MIN_ISR ?? 1) > settings.KAFKA_REPLICATION) {
    problems.push("KAFKA_MIN_ISR must not be above KAFKA_REPLICATION, else nothing can be written");
  }
  if ((settings.GATEWAY_COUNT ?? Infinity) < settings.GATEWAY_PROCESSES) {
    problems.push(
      "GATEWAY_COUNT counts all gateway processes of the deployment and must not be below GATEWAY_PROCESSES, those of this program",
    );
  }
  if (settings.KAFKA_RETENTION_DAYS < RETENTION_DAYS_MIN) {
    problems.push(
      `KAFKA_RETENTION_DAYS must be at least ${RETENTION_DAYS_MIN}: events wait up to a day for a retry, and a week for you`,
    );
  }
  if (!isSet(environment["POSTHASTE_MASTER_KEY"])) {
    problems.push(
      "POSTHASTE_MASTER_KEY is missing: all processes must share the key that encrypts endpoint secrets; `openssl rand -base64 32` makes one",
    );
  }
  return problems;
}

function configOf(settings: Parsed): DistributedConfig {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = settings;
  const isSasl = mechanism !== undefined && username !== undefined && password !== undefined;
  return {
    redisUrl: settings.REDIS_URL,
    redisCacheUrl: settings.REDIS_CACHE_URL ?? null,
    redisShards: settings.REDIS_SHARDS ?? null,
    redisPrefix: settings.REDIS_PREFIX,
    spoolBytesMax: settings.REDIS_SPOOL_MIB * 1024 ** 2,
    gatewayCount: settings.GATEWAY_COUNT ?? settings.GATEWAY_PROCESSES,
    processorCount: settings.PROCESSOR_COUNT,
    kafka: {
      brokers: settings.KAFKA_BROKERS,
      isTls: settings.KAFKA_TLS === "true",
      sasl: isSasl ? { mechanism, username, password } : null,
      prefix: settings.KAFKA_PREFIX,
      partitions: settings.KAFKA_PARTITIONS,
      replication: settings.KAFKA_REPLICATION,
      minInSync: settings.KAFKA_MIN_ISR ?? Math.max(1, settings.KAFKA_REPLICATION - 1),
      retentionMs: settings.KAFKA_RETENTION_DAYS * DAY_MS,
    },
  };
}

/** An empty variable counts as not set, as compose files write them. */
function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}
