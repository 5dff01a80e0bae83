/**
 * Takes one event: claims its keys if it has any, makes it durable in its lane, and only then speaks of it. Without an
 * Idempotency-Key and an id of its own it costs one append and nothing else.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { envelopeBody, laneOf } from "@posthaste/shared/domain/envelope.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { StoredAnswer } from "@posthaste/shared/ports/claims.ts";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";
import type { Claimed } from "./claims.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Draft } from "./draft.ts";
import type { RequestContext } from "../request/context.ts";
import { withClaim } from "./claims.ts";
import { draftFingerprint } from "./draft.ts";
import { requireInTime } from "../request/context.ts";

export interface Acceptance {
  readonly draft: Draft;
  readonly tenant: string;
  readonly traceparent: string | null;
  /** `?tenant=...` when the caller needs it to find the event again. */
  readonly tenantSuffix: string;
  /** Null without an Idempotency-Key. */
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | null;
  readonly context: RequestContext;
}

/** Key first, then id: the key's answer may be the id's. */
export function acceptEvent(deps: GatewayDeps, acceptance: Acceptance): Promise<Claimed> {
  const { draft, tenant, idempotency } = acceptance;
  const own = draft.id;
  const nowMs = Math.floor(deps.clock.now());
  if (idempotency === null && own === null) return appendOne(deps, acceptance, freshId(deps), nowMs);
  const claimDeps = { claims: deps.drivers.claims, log: deps.telemetry.log };
  const withOwnId = (id: string, acceptedAtMs: number): Promise<Claimed> => {
    const fingerprint = draftFingerprint(draft, deps.hasher);
    const request = { tenant, key: `id:${id}`, fingerprint, eventIds: [id], acceptedAtMs };
    return withClaim(claimDeps, request, (identity) => appendOne(deps, acceptance, id, identity.acceptedAtMs));
  };
  if (idempotency === null) return withOwnId(own ?? freshId(deps), nowMs);
  const request = {
    tenant,
    key: `key:${idempotency.key}`,
    fingerprint: idempotency.fingerprint,
    eventIds: [own ?? freshId(deps)],
    acceptedAtMs: nowMs,
  };
  return withClaim(claimDeps, request, ({ eventIds: [id], acceptedAtMs }) => {
    assert(id !== undefined, "a claim keeps the ids it was given");
    return own === null ? appendOne(deps, acceptance, id, acceptedAtMs) : withOwnId(id, acceptedAtMs);
  });
}

export function freshId(deps: Pick<GatewayDeps, "clock" | "entropy">): string {
  return newId("evt", Math.floor(deps.clock.now()), deps.entropy);
}

export function envelopeOf(
  draft: Draft,
  facts: { id: string; tenant: string; nowMs: number; traceparent: string | null; directoryVersion: number },
): Envelope {
  const { nowMs } = facts;
  const isAhead = draft.deliverAtMs !== null && draft.deliverAtMs > nowMs;
  return {
    id: facts.id,
    tenant: facts.tenant,
    type: draft.type,
    priority: draft.priority,
    acceptedAtMs: nowMs,
    deliverAtMs: isAhead ? draft.deliverAtMs : null,
    traceparent: facts.traceparent,
    directoryVersion: facts.directoryVersion,
    body: envelopeBody({ type: draft.type, timestampMs: draft.timestampMs ?? nowMs, dataText: draft.dataText }),
  };
}

/** All or nothing; counted and logged once it is durable. Counts that fail change nothing about that. */
export async function appendEnvelopes(
  deps: GatewayDeps,
  envelopes: readonly Envelope[],
  context: RequestContext,
): Promise<void> {
  requireInTime(context);
  await deps.drivers.lanes.append(envelopes);
  for (const envelope of envelopes) deps.telemetry.accept.accepted(envelope);
  try {
    deps.drivers.stats.add(envelopes.map(acceptedEntry));
  } catch {
    deps.telemetry.log.write("warn", "stats.not_counted", { count: envelopes.length });
  }
}

function acceptedEntry(envelope: Envelope): StatEntry {
  const { tenant, type, acceptedAtMs: atMs } = envelope;
  return { kind: "accepted", tenant, type, lane: laneOf(envelope), atMs };
}

/** Ids and lanes need no escapes in JSON. */
export function acceptedText(envelope: Envelope, tenantSuffix: string): string {
  const { id } = envelope;
  return `{"id":"${id}","lane":"${laneOf(envelope)}","status_url":"/v1/events/${id}${tenantSuffix}"}`;
}

async function appendOne(deps: GatewayDeps, acceptance: Acceptance, id: string, nowMs: number): Promise<Claimed> {
  const { draft, tenant, traceparent, tenantSuffix, context } = acceptance;
  const version = deps.drivers.directory.version(tenant);
  const directoryVersion = version instanceof Promise ? await version : version;
  const envelope = envelopeOf(draft, { id, tenant, nowMs, traceparent, directoryVersion });
  await appendEnvelopes(deps, [envelope], context);
  const answer: StoredAnswer = { status: 202, body: acceptedText(envelope, tenantSuffix) };
  return { answer, isReplay: false };
}
