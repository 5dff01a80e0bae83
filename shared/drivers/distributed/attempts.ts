/** The ledger of the distributed set: Redis for people and for dedupe, and every attempt to Kafka for whoever wants them all. */
import type { DeliveryRecord, Ledger, LedgerEntry } from "../../ports/ledger.ts";
import type { RecordProducer, NewRecord } from "../../ports/partition-log.ts";

export interface AttemptStreamOptions {
  readonly producer: RecordProducer;
  readonly topic: string;
  /** Attempts that the stream lost, by overload or an absent Kafka. */
  readonly onLost: (count: number) => void;
}

const encoder = new TextEncoder();

/** Writes behind: nothing waits for the stream, and what it cannot take is counted. */
export function withAttemptStream<Kept extends Ledger>(ledger: Kept, options: AttemptStreamOptions): Kept {
  const { producer, topic, onLost } = options;
  return {
    ...ledger,
    record(entries) {
      ledger.record(entries);
      const records = entries.flatMap((entry) => recordsOf(entry, topic));
      if (records.length === 0) return;
      producer.append(records).catch(() => onLost(records.length));
    },
  };
}

function recordsOf(entry: LedgerEntry, topic: string): readonly NewRecord[] {
  if (entry.kind !== "delivery" || entry.delivery.result === null) return [];
  const { delivery } = entry;
  return [
    {
      topic,
      partition: null,
      key: delivery.eventId,
      value: encoder.encode(JSON.stringify(attemptJson(delivery))),
      headers: { tenant: delivery.tenant },
      timestampMs: delivery.atMs,
    },
  ];
}

/** As the API shows attempts, with the names of what was attempted. */
function attemptJson(delivery: DeliveryRecord): Record<string, unknown> {
  const { result } = delivery;
  const answer =
    result?.kind === "answered"
      ? { status: result.status, duration_ms: result.durationMs }
      : { error: result?.fault, detail: result?.detail, duration_ms: result?.durationMs };
  return {
    tenant: delivery.tenant,
    event_id: delivery.eventId,
    event_type: delivery.eventType,
    endpoint_id: delivery.endpointId,
    generation: delivery.generation,
    attempt: delivery.attempt,
    state: delivery.state,
    reason: delivery.reason,
    group_id: delivery.groupId,
    at: new Date(delivery.atMs).toISOString(),
    ...answer,
  };
}
