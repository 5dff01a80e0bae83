/**
 * One producer: acks from all in-sync replicas, exactly one micro-batched send in flight. It is not idempotent on
 * purpose: kafkajs 2.2.4 with `idempotent` and concurrent sends lost acknowledged records in 5 of 5 broker kills, while
 * duplicates are harmless here (readers skip what is done).
 */
import type { Message, Producer, TopicMessages } from "kafkajs";
import kafkajs from "kafkajs";

import { PosthasteError } from "../../domain/errors.ts";
import type { Settled } from "../../lib/batcher.ts";
import { createBatcher } from "../../lib/batcher.ts";
import type { LogProducer, NewRecord } from "../../ports/partition-log.ts";
import type { KafkaContext } from "./kafka-client.ts";
import { CLOSE_MS, describeError, errorType, storeUnavailable, within } from "./kafka-client.ts";

/** One send, all its partitions together, so each partition's record batch is within the broker's 1 MiB by default. */
const SEND_RECORDS_MAX = 500;
const SEND_BYTES_MAX = 900 * 1024;
/** Records that wait for their send; more is refused as `overloaded`. */
export const WAITING_RECORDS_MAX = 20_000;
/** A record with less time left than this is not sent any more. */
const SEND_MS_MIN = 250;
/** Offset, length and checksum fields around one record, roughly. */
const RECORD_OVERHEAD_BYTES = 64;

const TOO_LARGE: ReadonlySet<string | null> = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"]);

interface Pending {
  readonly record: NewRecord;
  /** On the monotonic clock. */
  readonly expiresAtMs: number;
}

type Outcome = Settled<void>;
const DONE: Outcome = { kind: "done", value: undefined };

export function openKafkaProducer(context: KafkaContext, name: string): LogProducer {
  const { clock, appendMs, prefix } = context;
  const connection = keepConnection(context);
  let isClosed = false;

  const batcher = createBatcher<Pending, void>({
    clock,
    flush: flushLive,
    itemsMax: SEND_RECORDS_MAX,
    bytesMax: SEND_BYTES_MAX,
    waitingMax: WAITING_RECORDS_MAX,
    overflow: overloaded,
  });

  /** Batches leave in the order of arrival, so each record is settled by its own time or shortly before. */
  async function flushLive(items: readonly Pending[]): Promise<readonly Outcome[]> {
    const oldestMs = clock.monotonic() + SEND_MS_MIN;
    const live = items.filter(({ expiresAtMs }) => expiresAtMs >= oldestMs);
    const outcomes = await flush(live);
    let next = 0;
    return items.map(({ expiresAtMs }) => (expiresAtMs >= oldestMs ? (outcomes[next++] ?? late()) : late()));
  }

  async function flush(items: readonly Pending[]): Promise<readonly Outcome[]> {
    const first = items[0];
    if (first === undefined) return [];
    try {
      await connection.send(toTopicMessages(items, prefix), first.expiresAtMs - clock.monotonic());
      return items.map(() => DONE);
    } catch (error) {
      if (!TOO_LARGE.has(errorType(error))) return items.map(() => failed(lost(error)));
      if (items.length === 1) return [failed(tooLarge(first.record, error))];
      // One record batch per partition: half the records are half the batch, down to the record that is too large.
      const middle = Math.ceil(items.length / 2);
      return [...(await flush(items.slice(0, middle))), ...(await flush(items.slice(middle)))];
    }
  }

  function overloaded(): PosthasteError {
    return new PosthasteError("overloaded", `Kafka: ${WAITING_RECORDS_MAX} records wait in producer ${name} already.`);
  }

  const late = (): Outcome => failed(lost());
  const lost = (cause?: unknown): PosthasteError => {
    return storeUnavailable(`the records of producer ${name} were not acknowledged within ${appendMs} ms`, cause);
  };

  return {
    async append(records) {
      if (isClosed) throw storeUnavailable(`producer ${name} was closed`);
      if (batcher.waitingCount() + records.length > WAITING_RECORDS_MAX) throw overloaded();
      const expiresAtMs = clock.monotonic() + appendMs;
      await Promise.all(records.map((record) => batcher.add({ record, expiresAtMs }, bytesOf(record))));
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await batcher.idle();
      await connection.close();
    },
  };
}

/**
 * The kafkajs producer behind the sends: connected when first needed, given up when a send did not come back in time.
 * The late send may still be written (its records were rejected, which allows that); the next one does not wait for it.
 */
function keepConnection({ kafka, clock, onFault }: KafkaContext) {
  let current: Producer | null = null;

  function connect(): Producer {
    const producer = kafka.producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      allowAutoTopicCreation: false,
      idempotent: false,
    });
    current = producer;
    return producer;
  }

  async function close(producer: Producer): Promise<void> {
    await within(clock, CLOSE_MS, producer.disconnect(), () => new Error("a producer did not disconnect")).catch(
      onFault,
    );
  }

  return {
    async send(topicMessages: TopicMessages[], ms: number): Promise<void> {
      const producer = current ?? connect();
      let isOver = false;
      const sending = producer
        // Returns at once when it is connected.
        .connect()
        .then(() => producer.sendBatch({ acks: -1, timeout: Math.max(1, Math.floor(ms)), topicMessages }))
        .finally(() => {
          isOver = true;
        });
      try {
        await within(clock, Math.max(0, ms), sending, () => new Error(`no answer in ${Math.floor(ms)} ms`));
      } catch (error) {
        if (!isOver) {
          if (current === producer) current = null;
          // Twice: now, to break off what hangs; and after a retry of the lost send may have connected again.
          void close(producer);
          void sending.catch(() => undefined).then(() => close(producer));
        }
        throw error;
      }
    },
    async close(): Promise<void> {
      const producer = current;
      current = null;
      if (producer !== null) await close(producer);
    },
  };
}

function toTopicMessages(items: readonly Pending[], prefix: string): TopicMessages[] {
  const byTopic = new Map<string, Message[]>();
  for (const { record } of items) {
    const topic = prefix + record.topic;
    const messages = byTopic.get(topic);
    if (messages === undefined) byTopic.set(topic, [toMessage(record)]);
    else messages.push(toMessage(record));
  }
  return Array.from(byTopic, ([topic, messages]) => ({ topic, messages }));
}

function toMessage({ partition, key, value, headers, timestampMs }: NewRecord): Message {
  return {
    key,
    value: value === null ? null : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
    headers,
    timestamp: String(Math.trunc(timestampMs)),
    ...(partition === null ? {} : { partition }),
  };
}

function bytesOf({ key, value, headers }: NewRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (value?.byteLength ?? 0) + (key === null ? 0 : Buffer.byteLength(key));
  for (const name in headers) bytes += name.length + Buffer.byteLength(headers[name] ?? "") + 2;
  return bytes;
}

function failed(error: Error): Outcome {
  return { kind: "failed", error };
}

function tooLarge(record: NewRecord, cause: unknown): PosthasteError {
  const detail = `Kafka refuses a record of ${bytesOf(record)} bytes for topic ${record.topic} (${describeError(cause)}); raise the topic's max.message.bytes.`;
  return new PosthasteError("limit-reached", detail, cause);
}
