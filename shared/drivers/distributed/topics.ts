/** Names and settings of the Kafka topics of a deployment; the prefix of the deployment is put before each by the log. */
import type { KafkaConfig } from "../../domain/distributed-config.ts";
import type { Lane } from "../../domain/event.ts";
import type { TopicSpec } from "../../ports/partition-log.ts";
import { DELAYS_MS, delayName } from "../partitioned/delay-topics/plan.ts";

export const LANE_TOPICS = { high: "high", medium: "medium", low: "low" } as const satisfies Record<Lane, string>;
export const DEAD_LETTER_TOPIC = "dead-letter";
/** What was put aside from the HIGH list says so, as it comes from no topic. */
export const HIGH_SOURCE = "redis.high";
/** What was put aside from the spool and names no topic. */
export const SPOOL_SOURCE = "redis.spool";
/** What could not be read, raw, with the place it came from and the reason. */
export const POISON_TOPIC = "poison";
/** Every attempt, for whoever wants the whole history. */
export const ATTEMPTS_TOPIC = "attempts";

/** What the ledger in Redis did not take in time; read back into it, and then of no more use. */
export const LEDGER_TOPIC = "ledger";

/** Of readers; a lane's group has its name behind it. The prefix of the deployment is put before these, too. */
export const GROUPS = { lanes: "lanes", retries: "retries", deadLetters: "dead-letters", ledger: "ledger" } as const;

export function retryTopic(delayMs: number): string {
  return `retry.${delayName(delayMs)}`;
}

export function topicSpecs(kafka: KafkaConfig): readonly TopicSpec[] {
  const { partitions, replication, minInSync, retentionMs } = kafka;
  const shared = { replication, minInSync, timestamps: "log" } as const;
  const names = [
    ...Object.values(LANE_TOPICS),
    ...DELAYS_MS.map(retryTopic),
    POISON_TOPIC,
    ATTEMPTS_TOPIC,
    LEDGER_TOPIC,
  ];
  return [
    ...names.map((topic) => ({ ...shared, topic, partitions, retentionMs })),
    // The record is cut by tombstones, never by age.
    { ...shared, topic: DEAD_LETTER_TOPIC, partitions, retentionMs: -1, isCompacted: true },
  ];
}
