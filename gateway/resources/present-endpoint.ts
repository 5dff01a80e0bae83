/**
 * Endpoints as the API shows them: without their secrets, which are told at creation and rotation alone, and without
 * the values of their headers, which carry passwords and tokens.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { DEFAULT_RETRY_POLICY } from "@posthaste/shared/domain/retry-policy.ts";
import type { EndpointStats } from "@posthaste/shared/ports/stats.ts";
import { instantText } from "./present.ts";

export function endpointView(endpoint: Endpoint): object {
  const { rateLimit, batch } = endpoint;
  return {
    id: endpoint.id,
    tenant: endpoint.tenant,
    url: endpoint.url,
    event_types: endpoint.eventTypes,
    description: endpoint.description,
    headers: Object.fromEntries(Object.keys(endpoint.headers).map((name) => [name, "***"])),
    retry: endpoint.retry ?? DEFAULT_RETRY_POLICY,
    rate_limit: rateLimit === null ? null : { limit: rateLimit.limit, window_ms: rateLimit.windowMs },
    batch: batch === null ? null : { max_events: batch.maxEvents, max_wait_ms: batch.maxWaitMs },
    status: endpoint.status,
    status_reason: endpoint.statusReason,
    status_since: instantText(endpoint.statusSinceMs),
    created_at: instantText(endpoint.createdAtMs),
    updated_at: instantText(endpoint.updatedAtMs),
  };
}

export function endpointStatsView(stats: EndpointStats): object {
  return {
    attempts: stats.attempts,
    delivered: stats.delivered,
    retried: stats.retried,
    dead: stats.dead,
    duration_ms_mean: stats.durationMsMean === null ? null : Math.round(stats.durationMsMean),
    last_attempt_at: instantText(stats.lastAttemptAtMs),
  };
}
