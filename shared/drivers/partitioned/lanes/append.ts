/** Events as records of the lanes' topics, appended: for whoever reads the lanes as well, and for a gateway that only appends. */
import type { Envelope } from "../../../domain/envelope.ts";
import { laneOf } from "../../../domain/envelope.ts";
import { envelopeHeaders } from "../../../domain/envelope-record.ts";
import type { Lane } from "../../../domain/event.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { Lanes } from "../../../ports/lanes.ts";
import type { NewRecord, RecordProducer } from "../../../ports/partition-log.ts";
import { appendParts } from "./append-parts.ts";
import { keyOf } from "./recent-events.ts";

export function createPartitionedAppend(options: {
  readonly clock: Pick<Clock, "now">;
  readonly topics: Readonly<Record<Lane, string>>;
  readonly producers: Readonly<Record<Lane, Pick<RecordProducer, "append">>>;
}): Lanes["append"] {
  const { clock, topics, producers } = options;
  return async (envelopes) => {
    const timestampMs = clock.now();
    // One by one, so that each is known to be written or not; the producer sends them together all the same.
    const parts = withoutCopies(envelopes).map((envelope) => [envelope]);
    await appendParts(parts, async ([envelope]) => {
      if (envelope === undefined) return;
      const lane = laneOf(envelope);
      await producers[lane].append([recordOf(envelope, topics[lane], timestampMs)]);
    });
  };
}

/** Each event once. */
function withoutCopies(envelopes: readonly Envelope[]): readonly Envelope[] {
  return [...new Map(envelopes.map((envelope) => [keyOf(envelope), envelope])).values()];
}

/** The key is the event's id, so that events spread and copies of one meet in one partition. */
function recordOf(envelope: Envelope, topic: string, timestampMs: number): NewRecord {
  return {
    topic,
    partition: null,
    key: envelope.id,
    value: envelope.body,
    headers: envelopeHeaders(envelope),
    timestampMs,
  };
}
