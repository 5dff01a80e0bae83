/**
 * What spans say, by the semantic conventions 1.44 of OpenTelemetry (HTTP stable, messaging in development); ours begin with
 * `posthaste.`. No URL of an endpoint is among them, for its path or query may be a secret. docs/operations.md has them all.
 */
import type { AttemptResult } from "../domain/attempt.ts";
import type { Envelope } from "../domain/envelope.ts";
import { laneOf } from "../domain/envelope.ts";
import { isSuccess } from "../domain/outcome.ts";
import { Lru } from "../lib/lru.ts";
import type { TracedDelivery } from "./span-places.ts";
import type { SpanAttributes } from "./spans.ts";

/** Built up where a spread of each part would cost more than the span is worth. */
type NewAttributes = Record<string, string | number | boolean>;

/** Endpoints' URLs whose host and port are remembered; the one longest unused is parsed again. */
const SERVERS_KEPT_MAX = 4096;

export function requestAttributes(request: {
  readonly method: string;
  readonly route: string;
  readonly path: string;
  readonly status: number;
  readonly code: string | null;
}): SpanAttributes {
  const { method, route, path, status, code } = request;
  return {
    "http.request.method": method,
    "http.route": route,
    "url.path": path,
    "url.scheme": "http",
    "http.response.status_code": status,
    ...(code === null ? {} : { "error.type": code }),
  };
}

export function messageAttributes(
  envelope: Envelope,
  operation: "send" | "process",
  destination: string,
): NewAttributes {
  return {
    "messaging.system": "posthaste",
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
    "messaging.destination.name": destination,
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
  const attributes = messageAttributes(envelope, "process", laneOf(envelope));
  attributes["posthaste.endpoints.matched"] = matchedCount;
  attributes["posthaste.endpoints.filtered"] = filteredCount;
  attributes["posthaste.wait_ms"] = Math.max(0, Math.round(startMs - envelope.acceptedAtMs));
  if (isRepeat) attributes["posthaste.repeat"] = true;
  return attributes;
}

export function deliveryAttributes(delivery: TracedDelivery): NewAttributes {
  const { tenant, endpointId, generation, attempt, members, group } = delivery;
  const attributes: NewAttributes = {
    "posthaste.tenant": tenant,
    "posthaste.endpoint.id": endpointId,
    "posthaste.attempt": attempt,
  };
  if (group === null) attributes["posthaste.event.id"] = members[0]?.id ?? "";
  else {
    attributes["posthaste.group.id"] = group.id;
    attributes["messaging.batch.message_count"] = members.length;
  }
  if (generation !== 0) attributes["posthaste.replay"] = true;
  return attributes;
}

export function attemptAttributes(delivery: TracedDelivery, result: AttemptResult, server: SpanAttributes) {
  const attributes = deliveryAttributes(delivery);
  attributes["http.request.method"] = "POST";
  for (const name in server) attributes[name] = server[name] ?? "";
  if (delivery.attempt > 1) attributes["http.request.resend_count"] = delivery.attempt - 1;
  if (result.kind === "answered") attributes["http.response.status_code"] = result.status;
  if (isFailure(result)) attributes["error.type"] = result.kind === "fault" ? result.fault : String(result.status);
  return attributes;
}

export function isFailure(result: AttemptResult): boolean {
  return result.kind === "fault" || !isSuccess(result.status);
}

/** Where an endpoint is, without what may be a secret; from memory, as a parse costs as much as a span. */
export function createServerAttributes(): (url: string) => SpanAttributes {
  const known = new Lru<string, SpanAttributes>({ countMax: SERVERS_KEPT_MAX });
  return (url) => {
    const before = known.get(url);
    if (before !== undefined) return before;
    const attributes = serverOf(url);
    known.set(url, attributes);
    return attributes;
  };
}

function serverOf(url: string): SpanAttributes {
  try {
    const { protocol, hostname, port } = new URL(url);
    const scheme = protocol.slice(0, -1);
    return {
      "server.address": hostname,
      "server.port": port === "" ? (scheme === "https" ? 443 : 80) : Number(port),
      "url.scheme": scheme,
    };
  } catch {
    return {};
  }
}
