/** What a span says beside what all of its kind say (`span-stems.ts`); docs/operations.md has all of it. */
import type { AttemptResult } from "../domain/attempt.ts";
import type { Envelope } from "../domain/envelope.ts";
import { isSuccess } from "../domain/outcome.ts";
import type { TracedDelivery } from "./span-places.ts";
import type { SpanAttributes } from "./spans.ts";

/** Built up where a spread of each part would cost more than the span is worth. */
type NewAttributes = Record<string, string | number | boolean>;

export function requestAttributes(request: {
  readonly path: string;
  readonly status: number;
  readonly code: string | null;
}): SpanAttributes {
  const { path, status, code } = request;
  const attributes: NewAttributes = { "url.path": path, "http.response.status_code": status };
  if (code !== null) attributes["error.type"] = code;
  return attributes;
}

export function messageAttributes(envelope: Envelope): NewAttributes {
  return {
    "messaging.message.id": envelope.id,
    "messaging.message.body.size": envelope.body.length,
    "posthaste.tenant": envelope.tenant,
    "posthaste.event.type": envelope.type,
  };
}

export function fanOutAttributes(fanOut: {
  readonly envelope: Envelope;
  readonly startMs: number;
  readonly matchedCount: number;
  readonly filteredCount: number;
  readonly isRepeat: boolean;
}): SpanAttributes {
  const { envelope, startMs, matchedCount, filteredCount, isRepeat } = fanOut;
  const attributes: NewAttributes = {
    "messaging.message.id": envelope.id,
    "messaging.message.body.size": envelope.body.length,
    "posthaste.tenant": envelope.tenant,
    "posthaste.event.type": envelope.type,
    "posthaste.endpoints.matched": matchedCount,
    "posthaste.endpoints.filtered": filteredCount,
    "posthaste.wait_ms": Math.max(0, Math.round(startMs - envelope.acceptedAtMs)),
  };
  if (isRepeat) attributes["posthaste.repeat"] = true;
  return attributes;
}

export function deliveryAttributes(delivery: TracedDelivery): NewAttributes {
  const attributes = numbersOf(delivery);
  attributes["posthaste.tenant"] = delivery.tenant;
  attributes["posthaste.endpoint.id"] = delivery.endpointId;
  return attributes;
}

/** Beside those of the stem of its endpoint. */
export function attemptAttributes(delivery: TracedDelivery, result: AttemptResult): SpanAttributes {
  const attributes = numbersOf(delivery);
  if (delivery.attempt > 1) attributes["http.request.resend_count"] = delivery.attempt - 1;
  if (result.kind === "answered") attributes["http.response.status_code"] = result.status;
  if (isFailure(result)) attributes["error.type"] = result.kind === "fault" ? result.fault : String(result.status);
  return attributes;
}

function numbersOf({ generation, attempt, members, group }: TracedDelivery): NewAttributes {
  const attributes: NewAttributes =
    group === null
      ? { "posthaste.attempt": attempt, "posthaste.event.id": members[0]?.id ?? "" }
      : {
          "posthaste.attempt": attempt,
          "posthaste.group.id": group.id,
          "messaging.batch.message_count": members.length,
        };
  if (generation !== 0) attributes["posthaste.replay"] = true;
  return attributes;
}

export function isFailure(result: AttemptResult): boolean {
  return result.kind === "fault" || !isSuccess(result.status);
}
