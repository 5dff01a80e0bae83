/**
 * Events that Posthaste itself publishes: to a tenant on its endpoints and deliveries, to the operator as alerts. Ordinary
 * events otherwise: signed, retried, listed. Their types begin with `posthaste.`, which no publisher may use.
 */
import type { Hasher } from "../lib/ambient.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Notice, Trouble } from "./endpoint-trouble.ts";
import type { Envelope } from "./envelope.ts";
import type { Priority } from "./event.ts";
import { disablesAtMs, noticeSinceMs } from "./endpoint-trouble.ts";
import { envelopeBody } from "./envelope.ts";
import { OPERATOR_TENANT, OWN_TYPES } from "./event.ts";
import { derivedId } from "./id.ts";
import { traceIdOf } from "./traceparent.ts";

export interface OwnEvent {
  readonly tenant: string;
  readonly type: string;
  readonly priority: Priority;
  /** Whole epoch ms, of the event; together with `identity` the same id on each process. */
  readonly idAtMs: number;
  readonly identity: string;
  readonly atMs: number;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Of a test that names no type: it goes to the endpoint that it was asked for, whatever that subscribes to. */
export const TEST_EVENT_TYPE = "posthaste.test";

export function isOwnType(type: string): boolean {
  return type.startsWith(OWN_TYPES);
}

/** Of the last notice in the endpoint's record. */
export function noticeEvent(endpoint: Endpoint, trouble: Trouble, notice: Notice, disableAfterMs: number): OwnEvent {
  const { id, tenant, url } = endpoint;
  const { kind, atMs } = notice;
  const sinceMs = noticeSinceMs(trouble);
  const since = kind === "disabled" && sinceMs === atMs ? {} : { failing_since: instant(sinceMs) };
  const more = {
    failing: { disables_at: instant(disablesAtMs(sinceMs, atMs, disableAfterMs)) },
    disabled: { reason: endpoint.statusReason },
    recovered: {},
  }[kind];
  return {
    tenant,
    type: `${OWN_TYPES}endpoint.${kind}`,
    priority: "MEDIUM",
    idAtMs: atMs,
    identity: `${tenant}\nendpoint.${kind}\n${id}`,
    atMs,
    traceparent: null,
    tracestate: null,
    data: { endpoint_id: id, url, ...since, ...more },
  };
}

/** The same, as an alert: what a tenant is told of its endpoint the operator hears, too. */
export function endpointAlert({ id, tenant, statusReason }: Endpoint, trouble: Trouble, notice: Notice): OwnEvent {
  const { kind, atMs } = notice;
  const alert = {
    failing: { rule: "endpoint-failing", severity: "warning" },
    disabled: { rule: "endpoint-disabled", severity: "warning", reason: statusReason },
    recovered: { rule: "endpoint-failing", resolved_at: instant(atMs) },
  }[kind];
  return {
    tenant: OPERATOR_TENANT,
    type: `${OWN_TYPES}alert.${kind === "recovered" ? "resolved" : alert.rule}`,
    priority: "MEDIUM",
    idAtMs: atMs,
    identity: `alert.endpoint.${kind}\n${tenant}\n${id}`,
    atMs,
    traceparent: null,
    tracestate: null,
    data: { ...alert, tenant, endpoint_id: id, since: instant(noticeSinceMs(trouble)) },
  };
}

/** `acceptedAtMs` is that of the dead event, so that a repeat meets itself. */
export function deadEvent(dead: {
  readonly id: string;
  readonly tenant: string;
  readonly eventId: string;
  readonly endpointId: string;
  readonly reason: string;
  readonly attempts: number;
  readonly atMs: number;
  readonly envelope: Envelope;
}): OwnEvent {
  const { id, tenant, eventId, endpointId, reason, attempts, atMs, envelope } = dead;
  const { type: event_type, acceptedAtMs, traceparent, tracestate } = envelope;
  const trace_id = traceIdOf(traceparent);
  return {
    tenant,
    type: `${OWN_TYPES}delivery.dead`,
    priority: "LOW",
    idAtMs: acceptedAtMs,
    identity: `${tenant}\ndelivery.dead\n${id}`,
    atMs,
    traceparent,
    tracestate,
    data: { delivery_id: id, event_id: eventId, event_type, endpoint_id: endpointId, reason, attempts, trace_id },
  };
}

export function ownEnvelope(event: OwnEvent, directoryVersion: number, hasher: Hasher): Envelope {
  const { tenant, type, priority, atMs, traceparent, tracestate } = event;
  return {
    id: derivedId("evt", event.idAtMs, hasher, event.identity),
    tenant,
    type,
    priority,
    acceptedAtMs: atMs,
    deliverAtMs: null,
    traceparent,
    tracestate,
    directoryVersion,
    body: envelopeBody({ type, timestampMs: atMs, dataText: JSON.stringify(event.data) }),
  };
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString();
}
