/** Records in quarantine as the operator sees them: the index in Redis, and the way back to where they came from. */
import type { Clock } from "../../lib/ambient.ts";
import type { RecordProducer } from "../../ports/partition-log.ts";
import type { QuarantinedRecords } from "../../ports/quarantined-records.ts";
import type { QuarantineIndex } from "../redis/quarantine/quarantine-index.ts";
import { HIGH_SOURCE, SPOOL_SOURCE } from "./topics.ts";

export function createQuarantinedRecords(options: {
  readonly index: QuarantineIndex;
  readonly producer: RecordProducer;
  readonly clock: Pick<Clock, "now">;
}): QuarantinedRecords {
  const { index, producer, clock } = options;
  return {
    list: index.list,
    count: index.count,
    find: index.find,
    remove: index.remove,
    async putBack({ source, headers, bytes, value }) {
      if ((value?.length ?? 0) !== bytes || source === SPOOL_SOURCE) return false;
      if (source === HIGH_SOURCE) {
        await index.pushHigh(value ?? new Uint8Array());
        return true;
      }
      const timestampMs = clock.now();
      await producer.append([{ topic: source, partition: null, key: null, value, headers, timestampMs }]);
      return true;
    },
  };
}
