/** Events as records of the lanes' topics. */
import type { Envelope } from "../../../domain/envelope.ts";
import { envelopeHeaders } from "../../../domain/envelope-record.ts";
import type { NewRecord } from "../../../ports/partition-log.ts";
import { keyOf } from "./recent-events.ts";

/** Each event once. */
export function withoutCopies(envelopes: readonly Envelope[]): readonly Envelope[] {
  return [...new Map(envelopes.map((envelope) => [keyOf(envelope), envelope])).values()];
}

/** The key is the event's id, so that events spread and copies of one meet in one partition. */
export function recordOf(envelope: Envelope, topic: string, timestampMs: number): NewRecord {
  return {
    topic,
    partition: null,
    key: envelope.id,
    value: envelope.body,
    headers: envelopeHeaders(envelope),
    timestampMs,
  };
}
