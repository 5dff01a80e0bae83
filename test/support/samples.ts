/**
 * The samples that tests share. `sample...` are complete, for stores that must give back every field; `envelopeOf`,
 * `endpointOf` and `deliveryOf` are plain, for a processor at work.
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { envelopeBody } from "@posthaste/shared/domain/envelope.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { laneByPriority } from "@posthaste/shared/domain/event.ts";
import type { AttemptResult, Fault } from "@posthaste/shared/domain/attempt.ts";
import type { DeadLetter } from "@posthaste/shared/ports/dead-letters.ts";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import type { Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import type { PendingDelivery } from "@posthaste/processor/delivery/pending-delivery.ts";

export const START_MS = Date.UTC(2026, 0, 31, 12);

export const TENANT = "acme";

export const ENDPOINT_ID = "ep_01kg9bqf00aaaaaaaaaaaaaaaa";

export const SAMPLE_TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

export const SAMPLE_TRACE = {
  traceparent: SAMPLE_TRACEPARENT,
  tracestate: 'rojo=00f067aa0ba902b7,congo="t61\\rcWkgMzE"',
} as const;

const encoder = new TextEncoder();
const priorityByLane = { high: "HIGH", medium: "MEDIUM", low: "LOW" } as const satisfies Record<
  Lane,
  Envelope["priority"]
>;

export function sampleEnvelope(id: string, parts: Partial<Envelope> = {}): Envelope {
  return {
    id,
    tenant: TENANT,
    type: "order.paid",
    priority: "MEDIUM",
    acceptedAtMs: START_MS,
    deliverAtMs: null,
    traceparent: null,
    tracestate: null,
    directoryVersion: 1,
    body: encoder.encode(`{"type":"order.paid","timestamp":"2026-01-31T12:00:00.000Z","data":{"id":"${id}"}}`),
    ...parts,
  };
}

export function sampleEnvelopes(count: number, parts: Partial<Envelope> = {}): Envelope[] {
  return Array.from({ length: count }, (_, index) => sampleEnvelope(`evt_${index}`, parts));
}

export function sampleScheduled(members: readonly Envelope[], parts: Partial<Scheduled> = {}): Scheduled {
  return {
    cause: "retry",
    notBeforeMs: START_MS + 5000,
    endpointId: ENDPOINT_ID,
    generation: 0,
    attempt: 2,
    deferrals: 0,
    unmade: 0,
    putAside: 0,
    members,
    group: null,
    ...parts,
  };
}

export function sampleDeadLetter(id: string, parts: Partial<DeadLetter> = {}): DeadLetter {
  const envelope = parts.envelope ?? sampleEnvelope(`evt_of_${id}`);
  return {
    id,
    tenant: envelope.tenant,
    eventId: envelope.id,
    endpointId: ENDPOINT_ID,
    generation: 0,
    state: "dead",
    reason: "answered 500; attempt 10 of 10 was the last",
    attempts: 10,
    atMs: START_MS,
    ...parts,
    envelope,
  };
}

export function sampleRecord(envelope: Envelope, parts: Partial<DeliveryRecord> = {}): DeliveryRecord {
  return {
    tenant: envelope.tenant,
    eventId: envelope.id,
    endpointId: ENDPOINT_ID,
    generation: 0,
    eventType: envelope.type,
    atMs: START_MS + 100,
    state: "delivered",
    attempt: 1,
    result: { kind: "answered", status: 200, retryAfter: null, bodyExcerpt: "ok", isBodyCut: false, durationMs: 12.5 },
    groupId: null,
    nextAttemptAtMs: null,
    reason: null,
    ...parts,
  };
}

export function sampleEndpoint(id: string, parts: Partial<Endpoint> = {}): Endpoint {
  return {
    id,
    tenant: TENANT,
    url: "https://example.com/hooks",
    eventTypes: ["order.*"],
    description: "orders",
    headers: { authorization: "Bearer abc" },
    secrets: [{ secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", createdAtMs: START_MS, expiresAtMs: null }],
    retry: { delays_s: [0, 5] },
    rateLimit: { limit: 10, windowMs: 1000 },
    batch: { maxEvents: 10, maxWaitMs: 100 },
    status: "active",
    statusReason: null,
    statusSinceMs: null,
    trouble: null,
    createdAtMs: START_MS,
    updatedAtMs: START_MS,
    ...parts,
  };
}

export function sampleKey(id: string, parts: Partial<ApiKey> = {}): ApiKey {
  return {
    id,
    hash: `hash-of-${id}`,
    hint: "phk_0123…",
    name: "orders service",
    tenant: TENANT,
    scopes: ["publish", "read"],
    rateLimit: { limit: 1000, windowMs: 1000, failureMode: "local" },
    createdAtMs: START_MS,
    expiresAtMs: null,
    revokedAtMs: null,
    ...parts,
  };
}

export function envelopeOf(id: string, lane: Lane = "medium", parts: Partial<Envelope> = {}): Envelope {
  const type = parts.type ?? "order.paid";
  return {
    id,
    tenant: TENANT,
    type,
    priority: priorityByLane[lane],
    acceptedAtMs: START_MS,
    deliverAtMs: null,
    traceparent: null,
    tracestate: null,
    directoryVersion: 0,
    body: envelopeBody({ type, timestampMs: START_MS, dataText: `{"id":"${id}"}` }),
    ...parts,
  };
}

/** Active, for every type, at `https://<id>.example/`. */
export function endpointOf(id: string, parts: Partial<Endpoint> = {}): Endpoint {
  return {
    id,
    tenant: TENANT,
    url: `https://${id}.example/`,
    eventTypes: ["*"],
    description: "",
    headers: {},
    secrets: [{ secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", createdAtMs: 0, expiresAtMs: null }],
    retry: null,
    rateLimit: null,
    batch: null,
    status: "active",
    statusReason: null,
    statusSinceMs: null,
    trouble: null,
    createdAtMs: START_MS,
    updatedAtMs: START_MS,
    ...parts,
  };
}

/** A first attempt of the event at the endpoint. */
export function deliveryOf(
  envelope: Envelope,
  endpointId: string,
  parts: Partial<PendingDelivery> = {},
): PendingDelivery {
  return {
    tenant: TENANT,
    endpointId,
    lane: laneByPriority[envelope.priority],
    generation: 0,
    attempt: 1,
    deferrals: 0,
    unmade: 0,
    putAside: 0,
    isRepeat: false,
    repeats: [],
    members: [envelope],
    group: null,
    ...parts,
  };
}

export function answered(status: number, parts: { retryAfter?: string; durationMs?: number } = {}): AttemptResult {
  return {
    kind: "answered",
    status,
    retryAfter: parts.retryAfter ?? null,
    bodyExcerpt: "",
    isBodyCut: false,
    durationMs: parts.durationMs ?? 10,
  };
}

export function faulted(fault: Fault): AttemptResult {
  return { kind: "fault", fault, detail: "so it was", durationMs: 10 };
}

export function ids(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}
