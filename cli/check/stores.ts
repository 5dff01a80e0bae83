/** Redis and Kafka of the distributed set: are they there, and do they keep what they are given? Changes nothing in them. */
import type { DistributedConfig } from "@posthaste/shared/domain/distributed-config.ts";
import { topicSpecs } from "@posthaste/shared/drivers/distributed/topics.ts";
import { lookAtKafka } from "@posthaste/shared/drivers/kafka/look.ts";
import { CONNECT_MS_MAX, connectRedis } from "@posthaste/shared/drivers/redis/client/connect.ts";
import { mastersOf } from "@posthaste/shared/drivers/redis/client/memory.ts";
import { parseRedisUrl } from "@posthaste/shared/drivers/redis/client/redis-url.ts";
import { checkRedis } from "@posthaste/shared/drivers/redis/client/startup-check.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Finding } from "./finding.ts";
import { findingOf, fine, risky, wrong } from "./finding.ts";

/** Receivers refuse signatures that are older, or newer, by the half of an hour's twelfth; half of that is time to act. */
const CLOCK_OFF_MS_MAX = 150_000;

export async function storeFindings(config: DistributedConfig): Promise<readonly Finding[]> {
  const { redisUrl, redisCacheUrl } = config;
  const parts = await Promise.all([
    redisFindings(redisUrl, "REDIS_URL", config.spoolBytesMax),
    redisCacheUrl === null || redisCacheUrl === redisUrl ? [] : redisFindings(redisCacheUrl, "REDIS_CACHE_URL", null),
    kafkaFindings(config),
  ]);
  return parts.flat();
}

async function redisFindings(url: string, name: string, spoolBytesMax: number | null): Promise<readonly Finding[]> {
  try {
    const warnings = await checkRedis({
      url,
      name,
      role: spoolBytesMax === null ? "cache" : "lanes",
      clock: systemClock,
      ...(spoolBytesMax === null ? {} : { spoolBytesMax }),
    });
    const kept = spoolBytesMax === null ? "answers" : "answers, and deletes nothing for want of memory";
    return [
      fine(name, kept),
      ...warnings.map((warning) => findingOf("risky", name, warning)),
      await clockFinding(url, name),
    ];
  } catch (error) {
    return [findingOf("wrong", name, messageOf(error))];
  }
}

async function clockFinding(url: string, name: string): Promise<Finding> {
  const address = parseRedisUrl(url, name);
  const options = { address, connectionName: "posthaste-check", retryMs: () => null, isPipelined: false };
  const client = connectRedis({ ...options, silenceMsMax: CONNECT_MS_MAX });
  // What is wrong with the connection is told by the check before this one.
  client.on("error", () => undefined);
  try {
    await new Promise((resolve) => client.once("ready", resolve).once("end", resolve));
    const [seconds] = (await mastersOf(client)[0]?.time()) ?? [];
    const offMs = systemClock.now() - Number(seconds) * 1000;
    if (seconds === undefined || Math.abs(offMs) < CLOCK_OFF_MS_MAX)
      return fine("clock", `agrees with that of Redis (${name})`);
    const remedy = "Set both by NTP: receivers refuse what was signed more than 5 minutes away from their time.";
    return wrong(
      "clock",
      `is ${Math.round(Math.abs(offMs) / 1000)} s ${offMs > 0 ? "ahead of" : "behind"} that of Redis (${name})`,
      remedy,
    );
  } catch (error) {
    return risky("clock", `could not be compared with that of Redis (${messageOf(error)})`, "See that NTP sets it.");
  } finally {
    client.disconnect();
  }
}

async function kafkaFindings({ kafka }: DistributedConfig): Promise<readonly Finding[]> {
  const about = "KAFKA_BROKERS";
  try {
    const look = await lookAtKafka(
      {
        clock: systemClock,
        entropy: systemEntropy,
        brokers: kafka.brokers,
        prefix: kafka.prefix,
        clientId: "posthaste-check",
        onFault: () => undefined,
        ...(kafka.isTls ? { ssl: true } : {}),
        ...(kafka.sasl === null ? {} : { sasl: kafka.sasl }),
      },
      topicSpecs(kafka),
    );
    const { brokers, missing, problems, warnings } = look;
    const topics =
      missing.length === 0 ? "all topics are there" : `${missing.length} topics are made at the next start`;
    const few = brokers < kafka.replication;
    const remedy = "Start more brokers, or set a smaller KAFKA_REPLICATION.";
    return [
      fine(about, `answers with ${brokers === 1 ? "one broker" : `${brokers} brokers`}; ${topics}`),
      ...(few ? [wrong("KAFKA_REPLICATION", `is ${kafka.replication}, and there are ${brokers} brokers`, remedy)] : []),
      ...problems.map((problem) => findingOf("wrong", about, problem)),
      ...warnings.map((warning) => findingOf("risky", about, warning)),
    ];
  } catch (error) {
    return [findingOf("wrong", about, messageOf(error))];
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
