/**
 * The port `partition-log` over Kafka by kafkajs. One admin connection, one connection set for each producer and each
 * reader. Opening fails within `OPEN_MS` with a plain Error that names the setting; from then on all mends itself.
 */
import type { GroupListener, RecordProducer, GroupReader, PartitionLog } from "../../ports/partition-log.ts";
import { disconnectAdmin, openKafkaAdmin } from "./admin.ts";
import type { KafkaContext, KafkaOptions } from "./client.ts";
import { OPEN_MS, createContext, describeError, storeUnavailable, within } from "./client.ts";
import { createLogEnds, isCut } from "./log-ends.ts";
import type { PartitionOffsets } from "./offsets.ts";
import { fetchPartitionOffsets } from "./offsets.ts";
import { openKafkaProducer } from "./producer.ts";
import type { KafkaReader } from "./reader.ts";
import { openKafkaReader } from "./reader.ts";
import { createTopicKeeper } from "./topic-keeper.ts";
import { ensureKafkaTopics } from "./topics.ts";
import { createWrittenAt } from "./written-at.ts";

export type { KafkaOptions } from "./client.ts";

const HEALTH_MS = 3000;
/** Creating and checking all topics. */
const TOPICS_MS = 60_000;

/** A producer or a reader. */
type OpenPart = AsyncDisposable & Partial<Pick<KafkaReader, "gone">>;

export async function openKafkaPartitionLog(options: KafkaOptions): Promise<PartitionLog> {
  const context = createContext(options);
  const { prefix } = context;
  await probe(context, options);
  const admin = openKafkaAdmin(context);
  const open = new Set<OpenPart>();
  const writtenAt = createWrittenAt({ admin, clock: context.clock, prefix });
  const ends = createLogEnds();
  /** Whose offsets were looked at last; the ends are the log's, whoever asks. */
  const groups = new Map<string, string>();
  const offsetsOf = (group: string, topic: string) =>
    fetchPartitionOffsets({ admin, clock: context.clock, prefix }, group, topic);
  const keeper = createTopicKeeper({
    context,
    admin,
    async isAnother(topic) {
      const known = ends.known(topic);
      return isCut(await offsetsOf(groups.get(topic) ?? "", topic), known);
    },
    onGone(topic) {
      writtenAt.forget(topic);
      ends.forget(topic);
      for (const part of open) part.gone?.(topic);
    },
    beforeMaking: options.beforeTopicsMade ?? (() => Promise.resolve()),
    onMadeAgain: options.onTopicsMade ?? (() => undefined),
  });
  let isClosed = false;

  function track<Part extends OpenPart>(part: Part): Part {
    open.add(part);
    const dispose = part[Symbol.asyncDispose].bind(part);
    return Object.assign(part, {
      async [Symbol.asyncDispose]() {
        open.delete(part);
        await dispose();
      },
    });
  }

  function noting(listener: GroupListener): GroupListener {
    return {
      assigned: (partition) => listener.assigned(partition),
      lost: (position) => listener.lost(position),
      records(partition, records) {
        const last = records.at(-1);
        if (last !== undefined) ends.saw([{ ...partition, end: last.offset + 1 }]);
        listener.records(partition, records);
      },
    };
  }

  async function look(group: string, topic: string): Promise<readonly PartitionOffsets[]> {
    const known = ends.known(topic);
    const rows = await offsetsOf(group, topic);
    groups.set(topic, group);
    if (isCut(rows, known)) keeper.suspect(topic);
    ends.saw(rows);
    return rows;
  }

  return {
    async ensureTopics(specs) {
      const warnings = await admin.use(TOPICS_MS, (client) =>
        ensureKafkaTopics({ admin: client, clock: context.clock, prefix }, specs),
      );
      keeper.keep(specs);
      return warnings;
    },
    openProducer: (name): RecordProducer => track(openKafkaProducer(context, name)),
    async openReader(group, topics, listener, pace = "at-once"): Promise<GroupReader> {
      const offsets = (topic: string) => look(group, topic);
      const reader = track(
        await openKafkaReader({ context, group, topics, pace, listener: noting(listener), offsets }),
      );
      if (isClosed) await reader[Symbol.asyncDispose]();
      return reader;
    },
    async depth(group, topic) {
      const rows = await look(group, topic);
      return rows.map((row) => ({ ...row, committed: row.committed ?? row.start }));
    },
    writtenAt: (positions) => writtenAt.find(positions),
    async health() {
      if (isClosed) return "Kafka: the partition log is closed";
      try {
        await admin.use(HEALTH_MS, (client) => client.describeCluster());
        return null;
      } catch (error) {
        return storeUnavailable("the cluster does not answer", error).message;
      }
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      keeper[Symbol.dispose]();
      await Promise.all(Array.from(open, (part) => part[Symbol.asyncDispose]()));
      await admin[Symbol.asyncDispose]();
    },
  };
}

/** A few tries only: who starts with a wrong address or password is to be told at once. */
export async function probe(context: KafkaContext, { brokers, sasl }: KafkaOptions): Promise<void> {
  const { kafka, clock } = context;
  const admin = kafka.admin({ retry: { initialRetryTime: 200, retries: 3 } });
  const late = (): Error => new Error(`no answer in ${OPEN_MS} ms`);
  try {
    const asking = admin.connect().then(() => admin.describeCluster());
    await within(clock, OPEN_MS, asking, late);
  } catch (cause) {
    throw new Error(openProblem(brokers, sasl !== undefined, cause), { cause });
  } finally {
    await disconnectAdmin(context, admin);
  }
}

function openProblem(brokers: readonly string[], hasSasl: boolean, cause: unknown): string {
  const where = `Kafka at ${brokers.join(", ")} (KAFKA_BROKERS)`;
  const why = describeError(cause);
  const names: string[] = [];
  for (let at = cause, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) names.push(at.name);
  if (names.includes("KafkaJSSASLAuthenticationError") || names.includes("KafkaJSUnsupportedSaslMechanismError")) {
    return `${where} refuses the credentials: ${why}. Check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.`;
  }
  if (/certificate/iu.test(why)) {
    return `${where} is not trusted: ${why}. Name a file with its authority in NODE_EXTRA_CA_CERTS.`;
  }
  if (names.includes("KafkaJSConnectionClosedError") || hasSasl) {
    return `${where} closed the connection: ${why}. Check KAFKA_BROKERS, and KAFKA_TLS and KAFKA_SASL_* against what the listener wants.`;
  }
  return `${where} is not reachable: ${why}. Check that it runs and that KAFKA_BROKERS names it.`;
}
