/** What can befall a Kafka. */
import { closeSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Admin } from "kafkajs";
import kafkajs from "kafkajs";
import { waitFor } from "../support/services/wait-for.ts";
import type { KafkaBroker } from "../support/services/kafka.ts";
import type { NetworkFault } from "../support/tcp-proxy.ts";
import { cutEvery, flap, onNetwork } from "./network-faults.ts";
import type { Fault, Stage } from "./scenario.ts";

const NOTHING = (): Promise<void> => Promise.resolve();
const LEADERS_WITHIN_MS = 20_000;
const PARTITIONS = [0, 1, 2] as const;

export const kafkaNetwork = (fault: NetworkFault): Fault => onNetwork(({ stores }) => stores.brokerProxies, fault);
export const kafkaCut = (everyMs: number): Fault => cutEvery(({ stores }) => stores.brokerProxies, everyMs);
export const kafkaFlapping = (everyMs: number): Fault => flap(({ stores }) => stores.brokerProxies, everyMs);
/** The way from clients to the first broker; the others reach it. */
export const oneBrokerNetwork = (fault: NetworkFault): Fault =>
  onNetwork(({ stores }) => stores.brokerProxies.slice(0, 1), fault);

/** SIGKILL of the first `count` brokers. */
export const brokersKilled =
  (count: number): Fault =>
  async ({ stores }) => {
    const brokers = stores.kafka.nodes.slice(0, count);
    await Promise.all(brokers.map((broker) => broker.kill()));
    return () => startAll(brokers);
  };

export const brokersFrozen =
  (count: number): Fault =>
  ({ stores }) => {
    const brokers = stores.kafka.nodes.slice(0, count);
    for (const broker of brokers) broker.freeze();
    return Promise.resolve(async () => {
      for (const broker of brokers) broker.thaw();
    });
  };

/** SIGTERM and a new start, one broker after the other. */
export const brokersRestarted: Fault = async ({ stores }) => {
  for (const broker of stores.kafka.nodes) await broker.restart();
  return NOTHING;
};

/** Each partition gets another leader, while all brokers live. */
export const leadersMoved: Fault = async (stage) => {
  const move = (replicas: readonly number[]): Promise<void> =>
    withAdmin(stage, async (admin) => {
      const topics = await ownTopics(admin);
      await admin.alterPartitionReassignments({
        topics: topics.map((topic) => ({
          topic,
          partitionAssignment: PARTITIONS.map((partition) => ({ partition, replicas: [...replicas] })),
        })),
      });
      await untilLedBy(admin, topics, replicas);
    });
  await move([2, 3]);
  return () => move([3, 1, 2]);
};

/** The topic is gone with all that nobody had taken from it; nobody but Posthaste makes it again. */
export const topicDeleted =
  (name: "medium" | "low" | "retry.5s"): Fault =>
  async (stage) => {
    await withAdmin(stage, async (admin) => {
      const topic = (await ownTopics(admin)).find((each) => each.endsWith(`.${name}`));
      if (topic === undefined) throw new Error(`there is no topic ${name}`);
      await admin.deleteTopics({ topics: [topic] });
    });
    return NOTHING;
  };

/** Nothing can be written to its disk: a broker with one folder ends by it. It is started again when there is room. */
export const diskFull: Fault = async ({ stores }) => {
  const { kafkaDisk: disk, kafka } = stores;
  if (disk === null) throw new Error("a full disk needs the layout with a small one");
  const filler = join(disk, "filler");
  fill(filler, disk);
  return async () => {
    rmSync(filler);
    await startAll(kafka.nodes);
  };
};

async function startAll(brokers: readonly KafkaBroker[]): Promise<void> {
  await Promise.all(brokers.map((broker) => broker.restart()));
}

function fill(path: string, disk: string): void {
  const file = openSync(path, "a");
  const block = Buffer.alloc(64 * 1024);
  try {
    while (statfsSync(disk).bavail > 0) writeSync(file, block);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  } finally {
    closeSync(file);
  }
}

async function withAdmin(stage: Stage, work: (admin: Admin) => Promise<void>): Promise<void> {
  const brokers = stage.stores.kafka.brokers.split(",");
  const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.disconnect();
  }
}

async function ownTopics(admin: Admin): Promise<readonly string[]> {
  return (await admin.listTopics()).filter((topic) => !topic.startsWith("__"));
}

async function untilLedBy(admin: Admin, topics: readonly string[], replicas: readonly number[]): Promise<void> {
  await waitFor({
    fact: `all partitions to be led by brokers ${replicas.join(", ")}`,
    withinMs: LEADERS_WITHIN_MS,
    holds: async () => {
      const { topics: found } = await admin.fetchTopicMetadata({ topics: [...topics] });
      return found.every(({ partitions }) => partitions.every(({ leader }) => replicas.includes(leader)));
    },
  });
}
