/** Settings of the brokers themselves that weaken what the topics promise: told as warnings, since a cluster is often not ours. */
import type { Admin, ConfigEntries } from "kafkajs";
import kafkajs from "kafkajs";

import { errorType } from "./client.ts";

const MINUTE_MS = 60_000;
/** Brokers of one cluster are told the same; more than these need not be asked. */
const BROKERS_ASKED_MAX = 9;

/** One sentence or two each; `retentionMs` is the longest that a reader's offsets are needed. */
export async function brokerWarnings(admin: Admin, retentionMs: number): Promise<readonly string[]> {
  const settings = await readSettings(admin);
  if (settings === null) {
    const wanted = `offsets.retention.minutes is at least ${minutesOf(retentionMs)} and unclean.leader.election.enable is false`;
    return [`Kafka does not let the settings of its brokers be read (DescribeConfigs). See to it that ${wanted}.`];
  }
  return [offsetsWarning(settings, retentionMs), electionWarning(settings)].filter((warning) => warning !== null);
}

/** Offsets of a group without members go after a time: what they pointed at is read from the start of the log again. */
function offsetsWarning(settings: readonly ConfigEntries[], retentionMs: number): string | null {
  const minutes = Math.min(...valuesOf(settings, "offsets.retention.minutes").map(Number));
  if (!Number.isFinite(minutes) || minutes * MINUTE_MS >= retentionMs) return null;
  const days = (minutes * MINUTE_MS) / (24 * 60 * MINUTE_MS);
  return (
    `Kafka's offsets.retention.minutes is ${minutes}, less than the topics' retention: after ${days.toFixed(1)} days ` +
    "without any processor all events that are still kept would be delivered again. " +
    `Set offsets.retention.minutes=${minutesOf(retentionMs)} on each broker.`
  );
}

function electionWarning(settings: readonly ConfigEntries[]): string | null {
  if (!valuesOf(settings, "unclean.leader.election.enable").includes("true")) return null;
  return (
    "Kafka's unclean.leader.election.enable is true: when the replicas in sync are lost together, acknowledged events " +
    "are dropped for one that lags. Set unclean.leader.election.enable=false on each broker."
  );
}

/** Null when we may not read them. */
async function readSettings(admin: Admin): Promise<readonly ConfigEntries[] | null> {
  const { BROKER } = kafkajs.ConfigResourceTypes;
  const { brokers } = await admin.describeCluster();
  try {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: brokers.slice(0, BROKERS_ASKED_MAX).map(({ nodeId }) => ({ type: BROKER, name: String(nodeId) })),
    });
    return resources.flatMap(({ configEntries }) => configEntries);
  } catch (error) {
    if (errorType(error) === "CLUSTER_AUTHORIZATION_FAILED") return null;
    throw error;
  }
}

function valuesOf(settings: readonly ConfigEntries[], name: string): readonly string[] {
  return settings.filter(({ configName }) => configName === name).map(({ configValue }) => configValue);
}

function minutesOf(ms: number): number {
  return Math.ceil(ms / MINUTE_MS);
}
