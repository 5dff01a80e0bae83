/**
 * The topic `poison`: what could not be read, raw, with the place it came from and the reason. What is larger than a
 * record is kept in parts, what the broker refuses in smaller ones, and in the end the note alone: every record is put
 * away or given up after a bounded number of tries, and none holds its partition or lane for ever.
 */
import { PosthasteError } from "../../domain/errors.ts";
import { newId } from "../../domain/id.ts";
import type { Clock, Entropy } from "../../lib/ambient.ts";
import type { NewRecord, RecordProducer } from "../../ports/partition-log.ts";
import type { OnPoison, PoisonRecord } from "../partitioned/window/quarantine.ts";
import type { QuarantineIndex } from "../redis/quarantine/quarantine-index.ts";
import { POISON_TOPIC } from "./topics.ts";

export interface Quarantined {
  /** Where it came from: a topic, or `redis.high`. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly reason: string;
  readonly bytes: number;
  /** Less than `bytes` when the rest found no room in the topic. */
  readonly keptBytes: number;
}

/** The first is half of what a broker takes by default (1 MiB); 0 keeps the note alone. */
const PART_BYTES = [512 * 1024, 64 * 1024, 0] as const;
/** Parts of one record; what lies behind them is cut off. */
export const POISON_PARTS_MAX = 16;
/** Headers of the record that are kept: so many, and so many characters of each name and text. */
const HEADERS_MAX = 32;
const HEADER_LENGTH_MAX = 512;

/** Throws while the log is away: who gives the record tries again. */
export function createPoisonTopic(options: {
  readonly producer: RecordProducer;
  readonly clock: Pick<Clock, "now">;
  readonly entropy: Entropy;
  /** Lists the newest for people. One that it does not take is in the topic all the same. */
  readonly index: Pick<QuarantineIndex, "put">;
  readonly onFault: (error: unknown) => void;
  /** Must not throw. */
  readonly onQuarantined: (quarantined: Quarantined) => void;
}): OnPoison {
  const { producer, clock, onFault, onQuarantined } = options;
  return async (poison) => {
    const bytes = poison.value?.length ?? 0;
    const { topic, partition, offset, reason } = poison;
    const told = async (keptBytes: number): Promise<void> => {
      onQuarantined({ topic, partition, offset, reason, bytes, keptBytes });
      await options.index.put(listed(poison, options)).catch(onFault);
    };
    for (const partBytes of PART_BYTES) {
      try {
        await producer.append(poisonRecords(poison, partBytes, clock.now()));
        return await told(Math.min(bytes, partBytes * POISON_PARTS_MAX));
      } catch (error) {
        onFault(error);
        if (!isRefusal(error)) throw error;
      }
    }
    await told(0);
  };
}

/** As the index has it. */
function listed(poison: PoisonRecord, { clock, entropy }: { clock: Pick<Clock, "now">; entropy: Entropy }) {
  const { topic: source, partition, offset, reason, value } = poison;
  const atMs = clock.now();
  const id = newId("qtn", atMs, entropy);
  const headers = keptHeaders(poison.headers);
  return { id, source, partition, offset, reason, atMs, headers, bytes: value?.length ?? 0, value };
}

/** The log answered, and will not answer otherwise. */
function isRefusal(error: unknown): boolean {
  return error instanceof PosthasteError && !error.retriable;
}

function poisonRecords(poison: PoisonRecord, partBytes: number, nowMs: number): readonly NewRecord[] {
  const { topic, partition, offset, reason } = poison;
  const value = poison.value ?? new Uint8Array();
  const kept = Math.min(value.length, partBytes * POISON_PARTS_MAX);
  const count = Math.max(1, Math.ceil(kept / Math.max(1, partBytes)));
  const headers = {
    ...keptHeaders(poison.headers),
    "poison-topic": topic,
    "poison-place": `${partition}:${offset}`,
    "poison-reason": reason,
    "poison-bytes": String(value.length),
    ...(kept < value.length ? { "poison-cut": `the first ${kept} of ${value.length} bytes are kept` } : {}),
  };
  return Array.from({ length: count }, (_, index) => ({
    topic: POISON_TOPIC,
    partition: null,
    // The parts of one record lie in one partition, in their order.
    key: count === 1 ? null : `${topic} ${partition}:${offset}`,
    value: poison.value === null ? null : value.subarray(index * partBytes, Math.min(kept, (index + 1) * partBytes)),
    headers: count === 1 ? headers : { ...headers, "poison-part": `${index + 1}/${count}` },
    timestampMs: nowMs,
  }));
}

function keptHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const own = Object.entries(headers).slice(0, HEADERS_MAX);
  return Object.fromEntries(
    own.map(([name, text]) => [name.slice(0, HEADER_LENGTH_MAX), text.slice(0, HEADER_LENGTH_MAX)]),
  );
}
