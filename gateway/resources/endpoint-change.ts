/** How a PATCH changes an endpoint; pure. */
import type { Endpoint, EndpointPatch } from "@posthaste/shared/domain/endpoint.ts";

export const PAUSED_REASON = "paused by its owner";

/** `patch` holds only what is to change; an `url` in it has been vetted. */
export function changeEndpoint(endpoint: Endpoint, patch: EndpointPatch, nowMs: number): Endpoint {
  return {
    ...endpoint,
    url: patch.url ?? endpoint.url,
    eventTypes: patch.event_types ?? endpoint.eventTypes,
    description: patch.description ?? endpoint.description,
    headers: patch.headers ?? endpoint.headers,
    retry: patch.retry === undefined ? endpoint.retry : patch.retry,
    rateLimit: patch.rate_limit === undefined ? endpoint.rateLimit : patch.rate_limit,
    batch: patch.batch === undefined ? endpoint.batch : patch.batch,
    ...changeStatus(endpoint, patch, nowMs),
    updatedAtMs: nowMs,
  };
}

type Status = Pick<Endpoint, "status" | "statusReason" | "statusSinceMs">;

/**
 * `paused: true` pauses whatever it was, also a disabled one; `paused: false` ends a pause and nothing else, so that a
 * view sent back as it was cannot enable what we disabled; `disabled: false` enables.
 */
function changeStatus(endpoint: Endpoint, patch: EndpointPatch, nowMs: number): Status {
  const { status, statusReason, statusSinceMs } = endpoint;
  const isEnded =
    (status === "paused" && patch.paused === false) || (status === "disabled" && patch.disabled === false);
  if (patch.paused === true && status !== "paused") {
    return { status: "paused", statusReason: PAUSED_REASON, statusSinceMs: nowMs };
  }
  if (isEnded) return { status: "active", statusReason: null, statusSinceMs: null };
  return { status, statusReason, statusSinceMs };
}
