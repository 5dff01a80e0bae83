/** A look at Kafka that makes and changes nothing: is it there, does it let us in, and do its topics and brokers fit? */
import type { TopicSpec } from "../../ports/partition-log.ts";
import { openKafkaAdmin } from "./admin.ts";
import { brokerWarnings } from "./broker-settings.ts";
import type { KafkaOptions } from "./client.ts";
import { createContext } from "./client.ts";
import { probe } from "./partition-log.ts";
import { longestRetentionMs, topicProblems } from "./topics.ts";

export interface KafkaLook {
  readonly brokers: number;
  /** Of the topics those that the next start makes. */
  readonly missing: readonly string[];
  /** What a start refuses, a clause each. */
  readonly problems: readonly string[];
  /** What weakens its promises, a sentence or two each. */
  readonly warnings: readonly string[];
}

const LOOK_MS = 20_000;

/** Throws a plain Error that names the setting when Kafka is not there, or refuses us. */
export async function lookAtKafka(options: KafkaOptions, specs: readonly TopicSpec[]): Promise<KafkaLook> {
  const context = createContext(options);
  const { clock, prefix } = context;
  await probe(context, options);
  await using connection = openKafkaAdmin(context);
  return await connection.use(LOOK_MS, async (admin) => {
    const { brokers } = await admin.describeCluster();
    const existing = new Set(await admin.listTopics());
    const [there, missing] = [true, false].map((isThere) =>
      specs.filter(({ topic }) => existing.has(prefix + topic) === isThere),
    );
    return {
      brokers: brokers.length,
      missing: (missing ?? []).map(({ topic }) => prefix + topic),
      problems: await topicProblems({ admin, clock, prefix }, there ?? []),
      warnings: await brokerWarnings(admin, longestRetentionMs(specs)),
    };
  });
}
