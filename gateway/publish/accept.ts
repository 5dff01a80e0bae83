/**
 * Accepts one event: claims its keys if it has any, makes it durable in its lane, and only then answers 202. Without an
 * Idempotency-Key and an id of its own an event costs one append and nothing else. What the catalogue of today refuses is taken
 * when a claim stands for it: it was found good when that was made, and may have been accepted.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { envelopeBody, laneOf } from "@posthaste/shared/domain/envelope.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { StoredAnswer } from "@posthaste/shared/ports/claims.ts";
import { PartlyAppended } from "@posthaste/shared/ports/lanes.ts";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";
import { acceptedEntry } from "@posthaste/shared/ports/tail.ts";
import type { TraceHeaders } from "@posthaste/shared/telemetry/request-trace.ts";
import type { RequestContext } from "../request/context.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { Accepted, HeldClaim } from "./claims.ts";
import type { Draft } from "./draft.ts";
import { requireInTime } from "../request/context.ts";
import { failed } from "../request/validation.ts";
import { abandonClaim, claimOfId, claimOfKey, completeClaim, claimOfEvent } from "./claims.ts";
import { draftFingerprint } from "./draft.ts";

export interface Acceptance {
  readonly draft: Draft;
  readonly tenant: string;
  /** `?tenant=...` when the caller needs it to find the event again. */
  readonly tenantSuffix: string;
  /** Null without an Idempotency-Key. */
  readonly idempotency: Idempotency | null;
  readonly context: RequestContext;
}

export interface Idempotency {
  readonly key: string;
  readonly fingerprint: string;
}

const NO_FAULTS: Draft["faults"] = [];

/** From the parsed request to its 202. A step that fails gives up the claims before it, and throws. */
export async function acceptEvent(deps: GatewayDeps, acceptance: Acceptance): Promise<Accepted> {
  const { draft, tenant, tenantSuffix, idempotency, context } = acceptance;
  let acceptedAtMs = Math.floor(deps.clock.now());
  let id = draft.id ?? freshId(deps);
  let { faults } = draft;
  const held: HeldClaim[] = [];
  try {
    // 1. Claim the Idempotency-Key. A claim that is retaken brings the id and the time of its first holder.
    if (idempotency !== null) {
      const { fingerprint } = idempotency;
      const request = { tenant, key: claimOfKey(idempotency.key), fingerprint, eventIds: [id], acceptedAtMs };
      const claim = await claimOfEvent(deps, request, faults);
      if (claim.kind === "answered") return { answer: claim.answer, isReplay: true };
      if (claim.kind === "claimed") {
        held.push(request);
        id = onlyId(claim.eventIds);
        acceptedAtMs = claim.acceptedAtMs;
        faults = NO_FAULTS;
      }
    }

    // 2. Claim the publisher's own id. If it has an answer, that is the answer of the Idempotency-Key too.
    if (draft.id !== null) {
      const fingerprint = draftFingerprint(draft, deps.hasher);
      const request = { tenant, key: claimOfId(id), fingerprint, eventIds: [id], acceptedAtMs };
      const claim = await claimOfEvent(deps, request, faults);
      if (claim.kind === "answered") {
        await completeAll(deps, held, claim.answer);
        return { answer: claim.answer, isReplay: true };
      }
      if (claim.kind === "claimed") {
        held.push(request);
        acceptedAtMs = claim.acceptedAtMs;
        faults = NO_FAULTS;
      }
    }
    if (faults.length > 0) throw failed(faults);

    // 3. Append: from here on the event is accepted.
    const directoryVersion = await deps.drivers.directory.version(tenant);
    const carried = deps.telemetry.trace.carried(context.trace, { tenant, id, index: 0 });
    const envelope = envelopeOf(draft, { id, tenant, acceptedAtMs, carried, directoryVersion });
    await appendEnvelopes(deps, [envelope], context);

    // 4. Store the answer under the claims, and give it.
    const answer: StoredAnswer = { status: 202, body: acceptedText(envelope, tenantSuffix) };
    if (held.length > 0) await completeAll(deps, held, answer);
    return { answer, isReplay: false };
  } catch (failure) {
    for (const claim of held.toReversed()) await abandonClaim(deps, claim);
    throw failure;
  }
}

export function freshId(deps: Pick<GatewayDeps, "clock" | "entropy">): string {
  return newId("evt", Math.floor(deps.clock.now()), deps.entropy);
}

export function envelopeOf(
  draft: Omit<Draft, "faults">,
  facts: { id: string; tenant: string; acceptedAtMs: number; carried: TraceHeaders; directoryVersion: number },
): Envelope {
  const { acceptedAtMs } = facts;
  const isAhead = draft.deliverAtMs !== null && draft.deliverAtMs > acceptedAtMs;
  return {
    id: facts.id,
    tenant: facts.tenant,
    type: draft.type,
    priority: draft.priority,
    acceptedAtMs,
    deliverAtMs: isAhead ? draft.deliverAtMs : null,
    traceparent: facts.carried.traceparent,
    tracestate: facts.carried.tracestate,
    directoryVersion: facts.directoryVersion,
    body: envelopeBody({
      type: draft.type,
      timestampMs: draft.timestampMs ?? acceptedAtMs,
      dataText: draft.dataText,
    }),
  };
}

const NONE: ReadonlyMap<Envelope, unknown> = new Map();

/**
 * Makes them durable, then counts them. Resolves with those that failed while others were kept; throws when none was
 * kept. A count that fails changes nothing about the events.
 */
export async function appendEnvelopes(
  deps: GatewayDeps,
  envelopes: readonly Envelope[],
  context: RequestContext,
): Promise<ReadonlyMap<Envelope, unknown>> {
  if (envelopes.length === 0) return NONE;
  requireInTime(context);
  const { trace } = deps.telemetry;
  const [startMs, startedMs] = [deps.clock.now(), deps.clock.monotonic()];
  const failures = await appendToLanes(deps, envelopes);
  const storingMs = deps.clock.monotonic() - startedMs;
  envelopes.forEach((envelope, index) => {
    trace.sent(context.trace, envelope, { index, startMs, failure: failures.get(envelope) });
  });
  const kept = failures.size === 0 ? envelopes : envelopes.filter((envelope) => !failures.has(envelope));
  for (const envelope of kept) deps.telemetry.accept.accepted(envelope, storingMs);
  const { tail } = deps.drivers;
  const watched = kept.filter(({ tenant }) => tail.isWatched(tenant));
  if (watched.length > 0) tail.publish(watched.map(acceptedEntry));
  try {
    deps.drivers.stats.add(kept.map(acceptedCount));
  } catch {
    deps.telemetry.log.write("warn", "stats.not_counted", { count: kept.length });
  }
  return failures;
}

async function appendToLanes(
  { drivers }: GatewayDeps,
  envelopes: readonly Envelope[],
): Promise<ReadonlyMap<Envelope, unknown>> {
  try {
    await drivers.lanes.append(envelopes);
    return NONE;
  } catch (failure) {
    if (failure instanceof PartlyAppended) return failure.failures;
    throw failure;
  }
}

/** Ids and lanes need no escapes in JSON. */
export function acceptedText(envelope: Envelope, tenantSuffix: string): string {
  const { id } = envelope;
  return `{"id":"${id}","lane":"${laneOf(envelope)}","status_url":"/v1/events/${id}${tenantSuffix}"}`;
}

function acceptedCount(envelope: Envelope): StatEntry {
  const { tenant, type, acceptedAtMs: atMs } = envelope;
  return { kind: "accepted", tenant, type, lane: laneOf(envelope), atMs };
}

function onlyId(eventIds: readonly string[]): string {
  const [id] = eventIds;
  assert(id !== undefined, "a claim keeps the ids it was given");
  return id;
}

/** The last claim first, so the key is answered only when the id is. */
async function completeAll(deps: GatewayDeps, held: readonly HeldClaim[], answer: StoredAnswer): Promise<void> {
  for (const claim of held.toReversed()) await completeClaim(deps, claim, answer);
}
