/**
 * A dead letter as a record of the log: its facts and those of its envelope as headers, the body as it is. A tombstone
 * (no value) takes it out; both are keyed by the delivery's id, so that they stay in order and a log may compact them.
 */
import * as v from "valibot";
import { MISSED_STATES } from "../../../domain/delivery.ts";
import { envelopeHeaders, envelopeOfHeaders } from "../../../domain/envelope-record.ts";
import type { DeadLetter } from "../../../ports/dead-letters.ts";
import type { IndexedLetter, LetterDrop } from "../../../ports/dead-letter-index.ts";
import type { LogRecord, NewRecord } from "../../../ports/partition-log.ts";

export type ParsedLetter =
  | { readonly kind: "letter"; readonly indexed: IndexedLetter }
  | { readonly kind: "tombstone"; readonly drop: LetterDrop }
  | { readonly kind: "poison"; readonly reason: string };

const Whole = v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number));

const Facts = v.object({
  "letter-state": v.picklist(MISSED_STATES),
  "letter-reason": v.string(),
  "letter-attempts": Whole,
  "letter-at": Whole,
  "letter-endpoint": v.string(),
  "letter-generation": Whole,
});

/** What tells a letter from earlier and later news of the same delivery. */
export function revisionOf({ atMs, state, attempts }: DeadLetter): string {
  return `${atMs}.${state}.${attempts}`;
}

export function letterRecord(letter: DeadLetter, topic: string, nowMs: number): NewRecord {
  return {
    topic,
    partition: null,
    key: letter.id,
    value: letter.envelope.body,
    headers: {
      ...envelopeHeaders(letter.envelope),
      "letter-state": letter.state,
      "letter-reason": letter.reason,
      "letter-attempts": String(letter.attempts),
      "letter-at": String(letter.atMs),
      "letter-endpoint": letter.endpointId,
      "letter-generation": String(letter.generation),
    },
    timestampMs: nowMs,
  };
}

/** `revision` is null when it is not known which news are taken out. */
export function tombstoneRecord(
  { id, revision }: Pick<LetterDrop, "id" | "revision">,
  topic: string,
  nowMs: number,
): NewRecord {
  const headers: Record<string, string> = revision === null ? {} : { "letter-revision": revision };
  return { topic, partition: null, key: id, value: null, headers, timestampMs: nowMs };
}

export function parseLetterRecord(record: LogRecord): ParsedLetter {
  const { key, value, headers, partition, offset } = record;
  const place = { partition, offset };
  if (key === null) return { kind: "poison", reason: "the record has no key" };
  if (value === null) {
    return { kind: "tombstone", drop: { id: key, revision: headers["letter-revision"] ?? null, place } };
  }
  const parsed = v.safeParse(Facts, headers);
  if (!parsed.success) {
    return { kind: "poison", reason: `header not readable: ${v.getDotPath(parsed.issues[0]) ?? "?"}` };
  }
  const envelope = envelopeOfHeaders(headers, value);
  if (envelope === null) return { kind: "poison", reason: "the event's headers are not readable" };
  const facts = parsed.output;
  const letter: DeadLetter = {
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
  return { kind: "letter", indexed: { letter, revision: revisionOf(letter), place } };
}
