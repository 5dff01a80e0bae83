/** The partition log of a process: Kafka, its topics made and checked, and what goes through it counted. */
import type { KafkaConfig } from "../../domain/distributed-config.ts";
import type { Clock, Entropy } from "../../lib/ambient.ts";
import type { ConsumerRecord, GroupListener, NewRecord, PartitionLog } from "../../ports/partition-log.ts";
import type { KafkaOptions } from "../kafka/partition-log.ts";
import { openKafkaPartitionLog } from "../kafka/partition-log.ts";
import { topicSpecs } from "./topics.ts";

export interface LogTraffic {
  /** Records that all in-sync replicas have; `bytes` are those of keys and values. Must not throw. */
  wrote(topic: string, records: number, bytes: number): void;
  /** Records that came to one of our readers, also those that had come before. Must not throw. */
  read(topic: string, records: number, bytes: number): void;
}

/** Throws a plain Error that names the setting when Kafka is not there, or refuses us. */
export async function openLog(
  options: {
    readonly clock: Clock;
    readonly entropy: Entropy;
    readonly kafka: KafkaConfig;
    readonly clientId: string;
    readonly traffic: LogTraffic;
    readonly onWarning: (warning: string) => void;
  } & Required<Pick<KafkaOptions, "onFault" | "beforeTopicsMade" | "onTopicsMade">>,
): Promise<PartitionLog> {
  const { kafka, traffic, onWarning, ...ambient } = options;
  const partitionLog = await openKafkaPartitionLog({
    ...ambient,
    brokers: kafka.brokers,
    prefix: kafka.prefix,
    ...(kafka.isTls ? { ssl: true } : {}),
    ...(kafka.sasl === null ? {} : { sasl: kafka.sasl }),
  });
  try {
    for (const warning of await partitionLog.ensureTopics(topicSpecs(kafka))) onWarning(warning);
    return withTraffic(partitionLog, traffic);
  } catch (error) {
    await partitionLog[Symbol.asyncDispose]();
    throw error;
  }
}

export function withTraffic(partitionLog: PartitionLog, traffic: LogTraffic): PartitionLog {
  return {
    ...partitionLog,
    openProducer(name) {
      const producer = partitionLog.openProducer(name);
      return {
        async append(records, isWithdrawn) {
          await producer.append(records, isWithdrawn);
          count(records, traffic.wrote);
        },
        [Symbol.asyncDispose]: () => producer[Symbol.asyncDispose](),
      };
    },
    openReader(group, topics, listener, pace) {
      const counting: GroupListener = {
        assigned: (partition) => listener.assigned(partition),
        lost: (position) => listener.lost(position),
        records(partition, records) {
          count(records, traffic.read);
          listener.records(partition, records);
        },
      };
      return partitionLog.openReader(group, topics, counting, pace);
    },
  };
}

/** Almost always of one topic, and then told at once. */
function count(records: readonly (NewRecord | ConsumerRecord)[], tell: LogTraffic["wrote"]): void {
  let topic = records[0]?.topic ?? "";
  let [seen, bytes] = [0, 0];
  for (const record of records) {
    if (record.topic !== topic) {
      tell(topic, seen, bytes);
      [topic, seen, bytes] = [record.topic, 0, 0];
    }
    seen += 1;
    bytes += (record.key?.length ?? 0) + (record.value?.byteLength ?? 0);
  }
  if (seen > 0) tell(topic, seen, bytes);
}
