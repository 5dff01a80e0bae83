/** One partition of the in-memory log: records in a row, the oldest dropped when their retention is over. */
import { PosthasteError } from "../../domain/errors.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { TopicPartition, ConsumerRecord, NewRecord, TopicSpec } from "../../ports/partition-log.ts";

const RECORDS_MAX = 1_000_000;

export interface MemoryPartition extends TopicPartition {
  /** First offset kept, first offset not yet written. */
  start(): number;
  end(): number;
  append(record: NewRecord): void;
  /** At least one record when there is one, from the first kept at or after `offset`. */
  read(offset: number, recordsMax: number, bytesMax: number): readonly ConsumerRecord[];
}

export function createMemoryPartition(
  clock: Pick<Clock, "now">,
  { topic, retentionMs, timestamps }: TopicSpec,
  partition: number,
): MemoryPartition {
  let start = 0;
  let records: ConsumerRecord[] = [];

  /** Time is the broker's own, as it is with Kafka for records that the broker stamps. */
  function dropOld(): void {
    if (retentionMs < 0 || timestamps === "writer") return;
    const oldestMs = clock.now() - retentionMs;
    let count = 0;
    while (count < records.length && (records[count]?.timestampMs ?? 0) < oldestMs) count++;
    if (count === 0) return;
    records = records.slice(count);
    start += count;
  }

  return {
    topic,
    partition,
    start: () => start,
    end: () => start + records.length,
    append({ key, value, headers, timestampMs }) {
      dropOld();
      if (records.length === RECORDS_MAX) {
        throw new PosthasteError("store-unavailable", `Partition ${topic}/${partition} holds ${RECORDS_MAX} records.`);
      }
      records.push({
        topic,
        partition,
        offset: start + records.length,
        timestampMs: timestamps === "log" ? clock.now() : timestampMs,
        key,
        // The writer may use its bytes again.
        value: value === null ? null : value.slice(),
        headers: { ...headers },
      });
    },
    read(offset, recordsMax, bytesMax) {
      dropOld();
      const from = Math.max(0, offset - start);
      let to = from;
      for (let bytes = 0; to < records.length && to - from < recordsMax; to++) {
        bytes += records[to]?.value?.byteLength ?? 0;
        if (bytes > bytesMax && to > from) break;
      }
      return records.slice(from, to);
    },
  };
}

/** FNV-1a, 32 bits: any spread will do, as long as it is always the same. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
