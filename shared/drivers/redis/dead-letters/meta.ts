/** What the index keeps of a dead letter beside its packed envelope, as JSON that scripts read, too. */
import * as v from "valibot";
import { MISSED_STATES } from "../../../domain/delivery.ts";
import { packEnvelope, unpackEnvelope } from "../../../domain/envelope-record.ts";
import type { DeadLetter } from "../../../ports/dead-letters.ts";
import { parseJson, replyText } from "../ledger/record.ts";
import type { RedisReply } from "../client/redis-commands.ts";

const Meta = v.object({
  revision: v.string(),
  tenant: v.string(),
  endpoint: v.string(),
  event: v.string(),
  generation: v.number(),
  type: v.string(),
  state: v.picklist(MISSED_STATES),
  attempts: v.number(),
  at: v.number(),
  reason: v.string(),
  bytes: v.number(),
});

const encoder = new TextEncoder();

export type DeadLetterMeta = v.InferOutput<typeof Meta>;

/** `packedBytes`: of its envelope. What it weighs is that and this text. */
export function metaText(deadLetter: DeadLetter, revision: string, packedBytes: number): string {
  const meta: Omit<DeadLetterMeta, "bytes"> = {
    revision,
    tenant: deadLetter.tenant,
    endpoint: deadLetter.endpointId,
    event: deadLetter.eventId,
    generation: deadLetter.generation,
    type: deadLetter.envelope.type,
    state: deadLetter.state,
    attempts: deadLetter.attempts,
    at: deadLetter.atMs,
    reason: deadLetter.reason,
  };
  return JSON.stringify({ ...meta, bytes: packedBytes + encoder.encode(JSON.stringify(meta)).length });
}

/** Null when it is not what `metaText` writes: a row that was put there by hand, or damaged, costs itself alone. */
export function metaOf(reply: RedisReply): DeadLetterMeta | null {
  const parsed = v.safeParse(Meta, parseJson(replyText(reply)));
  return parsed.success ? parsed.output : null;
}

export function envelopeArgument(deadLetter: DeadLetter): Uint8Array {
  return packEnvelope(deadLetter.envelope);
}

/** From id, JSON and packed envelope; null when they do not read back. */
export function deadLetterOf(columns: readonly RedisReply[]): DeadLetter | null {
  const [id = null, text = null, packed = null] = columns;
  if (!(packed instanceof Uint8Array)) return null;
  // Not Redis's own kind of bytes.
  const envelope = unpackEnvelope(new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength));
  const meta = metaOf(text);
  if (envelope === null || meta === null) return null;
  return {
    id: replyText(id),
    tenant: meta.tenant,
    eventId: meta.event,
    endpointId: meta.endpoint,
    generation: meta.generation,
    state: meta.state,
    reason: meta.reason,
    attempts: meta.attempts,
    atMs: meta.at,
    envelope,
  };
}
