/**
 * One producer: acks from all in-sync replicas, exactly one micro-batched send in flight. It is not idempotent on
 * purpose: kafkajs 2.2.4 with `idempotent` and concurrent sends lost acknowledged records in 5 of 5 broker kills, while
 * duplicates are harmless here (readers skip what is done).
 *
 * A send that kafkajs calls done is not believed: what moved to another leader in the middle of it may never have been
 * sent (`partitions.ts`), and is sent again.
 */
import type { Message, TopicMessages } from "kafkajs";

import { PosthasteError, storeFault } from "../../domain/errors.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { BatchResult } from "../../lib/batcher.ts";
import { createBatcher } from "../../lib/batcher.ts";
import type { RecordProducer, NewRecord } from "../../ports/partition-log.ts";
import type { KafkaContext } from "./client.ts";
import { describeError, errorType, storeUnavailable } from "./client.ts";
import { keepConnection } from "./sends.ts";

/** One send, all its partitions together, so each partition's record batch is within the broker's 1 MiB by default. */
const SEND_RECORDS_MAX = 500;
const SEND_BYTES_MAX = 900 * 1024;
/** Records that wait for their send; more is refused as `overloaded`. */
export const WAITING_RECORDS_MAX = 20_000;
/** A record with less time left than this is not sent any more. */
const SEND_MS_MIN = 250;
/** What was not written in full is sent again after this: the partition's new leader may not be known yet. */
const AGAIN_MS = 100;
/** Offset, length and checksum fields around one record, roughly. */
const RECORD_OVERHEAD_BYTES = 64;

const TOO_LARGE: ReadonlySet<string | null> = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"]);

interface Pending {
  readonly record: NewRecord;
  /** On the monotonic clock. */
  readonly expiresAtMs: number;
  readonly isWithdrawn: () => boolean;
}

const never = (): boolean => false;

type SendResult = BatchResult<void>;
const DONE: SendResult = { kind: "done", value: undefined };

export function openKafkaProducer(context: KafkaContext, name: string): RecordProducer {
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
  async function flushLive(items: readonly Pending[]): Promise<readonly SendResult[]> {
    const oldestMs = clock.monotonic() + SEND_MS_MIN;
    const isLive = items.map(({ expiresAtMs, isWithdrawn }) => expiresAtMs >= oldestMs && !isWithdrawn());
    const results = await flush(items.filter((_, index) => isLive[index]));
    let next = 0;
    return items.map((_, index) => (isLive[index] === true ? (results[next++] ?? late()) : late()));
  }

  async function flush(items: readonly Pending[]): Promise<readonly SendResult[]> {
    const first = items[0];
    if (first === undefined) return [];
    const messages = items.map(({ record }) => toMessage(record));
    try {
      const isWritten = await connection.send(toTopicMessages(items, messages, prefix), timeLeft(first));
      const missing = items.filter(({ record }, index) => !isWritten(prefix + record.topic, messages[index]));
      const again = (await afterPause(clock, missing, timeLeft(first), flush)) ?? missing.map(late);
      let next = 0;
      return items.map((item) => (item === missing[next] ? (again[next++] ?? late()) : DONE));
    } catch (error) {
      if (!TOO_LARGE.has(errorType(error))) return items.map(() => failed(lost(error)));
      if (items.length === 1) return [failed(tooLarge(first.record, error))];
      // One record batch per partition: half the records are half the batch, down to the record that is too large.
      const middle = Math.ceil(items.length / 2);
      return [...(await flush(items.slice(0, middle))), ...(await flush(items.slice(middle)))];
    }
  }

  const timeLeft = ({ expiresAtMs }: Pending): number => expiresAtMs - clock.monotonic();

  function overloaded(): PosthasteError {
    const which = new Error(`${WAITING_RECORDS_MAX} records wait in producer ${name}`);
    return storeFault("Too much waits for Kafka already.", { code: "overloaded", cause: which });
  }

  const late = (): SendResult => failed(lost());
  const lost = (cause?: unknown): PosthasteError => {
    const which = new Error(`producer ${name}`, { cause });
    return storeUnavailable(`what was sent was not acknowledged within ${appendMs} ms`, which);
  };

  return {
    async append(records, isWithdrawn = never) {
      if (isClosed) throw storeUnavailable("this process is stopping", new Error(`producer ${name} was closed`));
      if (batcher.waitingCount() + records.length > WAITING_RECORDS_MAX) throw overloaded();
      const expiresAtMs = clock.monotonic() + appendMs;
      await Promise.all(records.map((record) => batcher.add({ record, expiresAtMs, isWithdrawn }, bytesOf(record))));
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await batcher.idle();
      await connection.close();
    },
  };
}

/** Null when there is no time left for another try. */
async function afterPause(
  clock: Pick<Clock, "timer">,
  items: readonly Pending[],
  leftMs: number,
  flush: (items: readonly Pending[]) => Promise<readonly SendResult[]>,
): Promise<readonly SendResult[] | null> {
  if (items.length === 0) return [];
  if (leftMs < AGAIN_MS + SEND_MS_MIN) return null;
  await new Promise<void>((resolve) => void clock.timer(AGAIN_MS, resolve));
  return await flush(items);
}

function toTopicMessages(items: readonly Pending[], messages: readonly Message[], prefix: string): TopicMessages[] {
  const byTopic = Map.groupBy(messages.keys(), (index) => prefix + (items[index]?.record.topic ?? ""));
  return Array.from(byTopic, ([topic, indexes]) => ({ topic, messages: indexes.flatMap((at) => messages[at] ?? []) }));
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

function failed(error: Error): SendResult {
  return { kind: "failed", error };
}

function tooLarge(record: NewRecord, cause: unknown): PosthasteError {
  const bytes = bytesOf(record);
  const logged = `Kafka refuses a record of ${bytes} bytes for topic ${record.topic} (${describeError(cause)}); raise the topic's max.message.bytes.`;
  const detail = `The store takes no record of ${bytes} bytes. Send less at once, or ask the operator to raise its limit.`;
  return new PosthasteError("limit-reached", { detail, logged }, cause);
}
