/**
 * Creates the topics and checks those that are there. What does not fit is told as one sentence that names the topic,
 * what was found, what is wanted and how to mend it; nothing that exists is ever changed. Resolves with warnings.
 */
import type { Admin, ITopicConfig, ITopicMetadata } from "kafkajs";
import kafkajs from "kafkajs";

import type { Clock } from "../../lib/ambient.ts";
import type { TopicSpec } from "../../ports/partition-log.ts";
import { brokerWarnings } from "./broker-settings.ts";
import { describeError, errorType } from "./client.ts";

/** Creating and the election of leaders. */
const CREATE_MS = 15_000;
const ASK_AGAIN_MS = 200;
/** What brokers say of a topic that they have yet to hear of. */
const YOUNG: ReadonlySet<string> = new Set([
  "UNKNOWN_TOPIC_OR_PARTITION",
  "LEADER_NOT_AVAILABLE",
  "NOT_LEADER_FOR_PARTITION",
]);
/** Kafka 4 refuses a writer's time more than an hour ahead unless told; a virtual clock may be anywhere. */
const ANY_TIME_MS = "9223372036854775807";

export async function ensureKafkaTopics(
  { admin, clock, prefix }: { readonly admin: Admin; readonly clock: Clock; readonly prefix: string },
  specs: readonly TopicSpec[],
): Promise<readonly string[]> {
  const existing = new Set(await admin.listTopics());
  const missing = specs.filter(({ topic }) => !existing.has(prefix + topic));
  await createTopics(admin, missing, prefix);
  const names = specs.map(({ topic }) => prefix + topic);
  if (names.length === 0) return [];
  await untilKnown(clock, () => fetchTopics(admin, clock, names));
  // A leader that others have heard of may not have heard of it itself: it refuses records for a moment.
  for (const { topic } of missing) await untilKnown(clock, () => admin.fetchTopicOffsets(prefix + topic));
  const problems = await topicProblems({ admin, clock, prefix }, specs);
  if (problems.length > 0) throw new Error(`Kafka topics do not fit the configuration: ${problems.join("; ")}`);
  return await brokerWarnings(admin, longestRetentionMs(specs));
}

/** How topics that are there do not fit, a clause each with its remedy. Changes nothing. */
export async function topicProblems(
  { admin, clock, prefix }: { readonly admin: Admin; readonly clock: Clock; readonly prefix: string },
  specs: readonly TopicSpec[],
): Promise<readonly string[]> {
  const names = specs.map(({ topic }) => prefix + topic);
  if (names.length === 0) return [];
  const topics = await untilKnown(clock, () => fetchTopics(admin, clock, names));
  const configs = await fetchConfigs(admin, names);
  return specs.flatMap((spec) => {
    const name = prefix + spec.topic;
    const found = topics.find((topic) => topic.name === name);
    if (found === undefined) return [`topic ${name} was created but is not listed; start again`];
    const config = configs.get(name) ?? new Map<string, string>();
    return [
      ...shapeProblems(spec, name, found),
      ...configProblems(spec, name, config),
      ...writeProblems(name, found, config),
    ];
  });
}

export function longestRetentionMs(specs: readonly TopicSpec[]): number {
  return Math.max(...specs.map(({ retentionMs }) => retentionMs));
}

/** A topic that was just created, here or by another process, is not known to every broker at once. */
async function untilKnown<Answer>(clock: Clock, ask: () => Promise<Answer>): Promise<Answer> {
  const endAt = clock.monotonic() + CREATE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!YOUNG.has(errorType(error) ?? "") || clock.monotonic() >= endAt) throw error;
    }
    await clock.sleep(ASK_AGAIN_MS, new AbortController().signal);
  }
}

/** With a leader for each partition, unless that takes too long. */
async function fetchTopics(admin: Admin, clock: Clock, names: string[]): Promise<readonly ITopicMetadata[]> {
  const endAt = clock.monotonic() + CREATE_MS;
  for (;;) {
    const { topics } = await admin.fetchTopicMetadata({ topics: names });
    const isWhole = topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0));
    if (isWhole || clock.monotonic() >= endAt) return topics;
    await clock.sleep(ASK_AGAIN_MS, new AbortController().signal);
  }
}

async function createTopics(admin: Admin, specs: readonly TopicSpec[], prefix: string): Promise<void> {
  if (specs.length === 0) return;
  const topics = specs.map((spec) => toTopicConfig(spec, prefix));
  try {
    // Leaders are waited for afterwards, together with those of topics that others make.
    await admin.createTopics({ topics, waitForLeaders: false, timeout: CREATE_MS });
  } catch (cause) {
    // Another process may have been quicker; what it made is checked like any other.
    const reasons = cause instanceof Error && "errors" in cause && Array.isArray(cause.errors) ? cause.errors : [cause];
    const bad = reasons.find((reason: unknown) => errorType(reason) !== "TOPIC_ALREADY_EXISTS");
    if (bad === undefined) return;
    const names = topics.map(({ topic }) => topic).join(", ");
    const remedy =
      errorType(bad) === "INVALID_REPLICATION_FACTOR"
        ? `fewer brokers run than the wanted replication of ${Math.max(...specs.map(({ replication }) => replication))}: start more brokers or set a smaller KAFKA_REPLICATION`
        : "check that KAFKA_BROKERS names the right cluster and that its user may create topics, or create them by hand";
    throw new Error(`Kafka topics could not be created (${names}): ${describeError(bad)}; ${remedy}`, { cause });
  }
}

function toTopicConfig(spec: TopicSpec, prefix: string): ITopicConfig {
  const entries = Object.entries(wantedConfig(spec)).map(([name, value]) => ({ name, value }));
  const anyTime = ["message.timestamp.before.max.ms", "message.timestamp.after.max.ms"];
  return {
    topic: prefix + spec.topic,
    numPartitions: spec.partitions,
    replicationFactor: spec.replication,
    configEntries: [
      ...entries,
      ...(spec.timestamps === "writer" ? anyTime.map((name) => ({ name, value: ANY_TIME_MS })) : []),
    ],
  };
}

/** Retention counts in the records' own time, which for a writer on a virtual clock says nothing: kept for ever. */
function wantedConfig(spec: TopicSpec) {
  return {
    "cleanup.policy": spec.isCompacted === true ? "compact" : "delete",
    "retention.ms": String(spec.timestamps === "writer" ? -1 : spec.retentionMs),
    "retention.bytes": "-1",
    "min.insync.replicas": String(spec.minInSync),
    "message.timestamp.type": spec.timestamps === "log" ? "LogAppendTime" : "CreateTime",
  };
}

/** A topic that can never have as many replicas in sync as it asks for takes nothing. */
function writeProblems(name: string, found: ITopicMetadata, config: ReadonlyMap<string, string>): string[] {
  const replication = Math.min(...found.partitions.map(({ replicas }) => replicas.length));
  const inSync = Number(config.get("min.insync.replicas") ?? 1);
  if (inSync <= replication) return [];
  const remedy = `kafka-configs --alter --entity-type topics --entity-name ${name} --add-config min.insync.replicas=${replication}`;
  return [
    `topic ${name} has replication ${replication} and min.insync.replicas ${inSync}, so nothing can be written to it: give it more replicas (kafka-reassign-partitions) or set: ${remedy}`,
  ];
}

function shapeProblems(spec: TopicSpec, name: string, found: ITopicMetadata): string[] {
  const problems: string[] = [];
  const partitions = found.partitions.length;
  if (partitions < spec.partitions) {
    problems.push(
      `topic ${name} has ${partitions} partitions, ${spec.partitions} are wanted: add some (kafka-topics --alter --topic ${name} --partitions ${spec.partitions}) or set KAFKA_PARTITIONS=${partitions}`,
    );
  }
  const replication = Math.min(...found.partitions.map(({ replicas }) => replicas.length));
  if (replication < spec.replication) {
    problems.push(
      `topic ${name} has replication ${replication}, ${spec.replication} is wanted: reassign it (kafka-reassign-partitions) or set KAFKA_REPLICATION=${replication}`,
    );
  }
  return problems;
}

function configProblems(spec: TopicSpec, name: string, found: ReadonlyMap<string, string>): string[] {
  return Object.entries(wantedConfig(spec)).flatMap(([setting, wanted]) => {
    const value = found.get(setting);
    if (value === undefined || isEnough(setting, value, wanted)) return [];
    const remedy = `kafka-configs --alter --entity-type topics --entity-name ${name} --add-config ${setting}=${wanted}`;
    return [`topic ${name} has ${setting} ${value}, ${wanted} is wanted: set it: ${remedy}`];
  });
}

/** More retention and more replicas in sync than wanted do no harm. */
function isEnough(setting: string, found: string, wanted: string): boolean {
  if (found === wanted) return true;
  if (setting === "retention.ms") return found === "-1" || (wanted !== "-1" && Number(found) >= Number(wanted));
  return setting === "min.insync.replicas" && Number(found) > Number(wanted);
}

async function fetchConfigs(admin: Admin, names: readonly string[]): Promise<Map<string, Map<string, string>>> {
  const { TOPIC } = kafkajs.ConfigResourceTypes;
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: names.map((name) => ({ type: TOPIC, name })),
  });
  return new Map(
    resources.map(({ resourceName, configEntries }) => [
      resourceName,
      new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
    ]),
  );
}
