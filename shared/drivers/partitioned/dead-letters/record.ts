/**
 * A dead letter as a record of the partition log: its facts and those of its envelope as headers, the body as it is. A tombstone
 * (no value) takes it out; both are keyed by the delivery's id, so that they stay in order and a partition log may compact them.
 */
import * as v from "valibot";
import { MISSED_STATES } from "../../../domain/delivery.ts";
import {
  RecordedName,
  RecordedTime,
  RecordedWhole,
  envelopeFault,
  envelopeHeaders,
  envelopeOfHeaders,
  headerFault,
} from "../../../domain/envelope-record.ts";
import type { DeadLetter } from "../../../ports/dead-letters.ts";
import type { IndexedDeadLetter, DeadLetterDrop } from "../../../ports/dead-letter-index.ts";
import type { ConsumerRecord, NewRecord } from "../../../ports/partition-log.ts";

export type ParsedDeadLetter =
  | { readonly kind: "dead-letter"; readonly indexed: IndexedDeadLetter }
  | { readonly kind: "tombstone"; readonly drop: DeadLetterDrop }
  | { readonly kind: "poison"; readonly reason: string };

/** Reasons are sentences of ours, with at most an excerpt of an answer. */
const REASON_LENGTH_MAX = 16 * 1024;

const Facts = v.object({
  "letter-state": v.picklist(MISSED_STATES, `must be one of ${MISSED_STATES.join(", ")}`),
  "letter-reason": v.pipe(
    v.string("must be a text"),
    v.maxLength(REASON_LENGTH_MAX, `must have at most ${REASON_LENGTH_MAX} characters`),
  ),
  "letter-attempts": RecordedWhole,
  "letter-at": RecordedTime,
  "letter-endpoint": RecordedName,
  "letter-generation": RecordedTime,
});

/** What tells a dead letter from earlier and later news of the same delivery. */
export function revisionOf({ atMs, state, attempts }: DeadLetter): string {
  return `${atMs}.${state}.${attempts}`;
}

export function deadLetterRecord(deadLetter: DeadLetter, topic: string, nowMs: number): NewRecord {
  return {
    topic,
    partition: null,
    key: deadLetter.id,
    value: deadLetter.envelope.body,
    headers: {
      ...envelopeHeaders(deadLetter.envelope),
      "letter-state": deadLetter.state,
      "letter-reason": deadLetter.reason,
      "letter-attempts": String(deadLetter.attempts),
      "letter-at": String(deadLetter.atMs),
      "letter-endpoint": deadLetter.endpointId,
      "letter-generation": String(deadLetter.generation),
    },
    timestampMs: nowMs,
  };
}

/** `revision` is null when it is not known which news are taken out. */
export function tombstoneRecord(
  { id, revision }: Pick<DeadLetterDrop, "id" | "revision">,
  topic: string,
  nowMs: number,
): NewRecord {
  const headers: Record<string, string> = revision === null ? {} : { "letter-revision": revision };
  return { topic, partition: null, key: id, value: null, headers, timestampMs: nowMs };
}

export function parseDeadLetterRecord(record: ConsumerRecord): ParsedDeadLetter {
  const { key, value, headers, partition, offset } = record;
  const place = { partition, offset };
  if (key === null) return { kind: "poison", reason: "the record has no key" };
  if (value === null) {
    return { kind: "tombstone", drop: { id: key, revision: headers["letter-revision"] ?? null, place } };
  }
  const parsed = v.safeParse(Facts, headers);
  if (!parsed.success) return { kind: "poison", reason: headerFault(parsed) };
  if (!v.is(RecordedName, key)) return { kind: "poison", reason: "the record's key is no delivery's id" };
  const envelope = envelopeOfHeaders(headers, value);
  if (envelope === null) return { kind: "poison", reason: envelopeFault(headers, value) };
  const facts = parsed.output;
  const deadLetter: DeadLetter = {
    id: key,
    tenant: envelope.tenant,
    eventId: envelope.id,
    endpointId: facts["letter-endpoint"],
    generation: facts["letter-generation"],
    state: facts["letter-state"],
    reason: facts["letter-reason"],
    attempts: facts["letter-attempts"],
    atMs: facts["letter-at"],
    envelope,
  };
  return { kind: "dead-letter", indexed: { deadLetter, revision: revisionOf(deadLetter), place } };
}
