/**
 * `POST /v1/events/:id/resend`: one event again, to all active endpoints that subscribe to it now, or to one. Each delivery is
 * a replay: a generation of its own, with attempts from 1, whatever became of those before.
 */
import * as v from "valibot";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { EventRecord } from "@posthaste/shared/ports/ledger.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import type { StoredAnswer } from "@posthaste/shared/ports/claims.ts";
import { abandonClaim, claimOfKey, completeClaim, takeClaim } from "../publish/claims.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { answer, bodyJson } from "../request/handle.ts";
import { idempotencyKeyOf } from "../request/headers.ts";
import { EndpointId, ofTenant } from "../request/query.ts";
import { resolveTenant } from "../request/tenancy.ts";
import { failed, validate } from "../request/validation.ts";
import { notActive } from "./find-endpoint.ts";
import { findKeptEvent, namedEvent } from "./find-event.ts";
import { createRamp, planReplays, REPLAY_PAGE, REPLAY_RATE_DEFAULT } from "./replay.ts";
import { instantText } from "./view-parts.ts";

const ResendWish = v.strictObject({
  endpoint_id: v.pipe(v.optional(EndpointId), v.description("This one alone.")),
});

/** One event for one request: what is asked for, and the time that names its generation. */
interface Resend {
  readonly tenant: string;
  readonly eventId: string;
  readonly endpointId: string | null;
  readonly atMs: number;
}

export function eventResendRoute(deps: GatewayDeps): Route {
  return {
    method: "POST",
    path: "/v1/events/:id/resend",
    scope: "manage",
    query: ofTenant,
    body: { schema: ResendWish, bytesMax: MANAGEMENT_BYTES_MAX, isOptional: true, takesCloudEvents: false },
    handle: (admitted) => handle(deps, admitted),
  };
}

/** With an Idempotency-Key the same request again gets the first answer, and sends nothing. */
async function handle(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { endpoint_id: endpointId = null } = validate(ResendWish, bodyJson(admitted));
  const tenant = resolveTenant(admitted.caller, null, admitted.query.get("tenant") ?? null);
  const eventId = namedEvent(admitted);
  const atMs = Math.floor(deps.clock.now());
  const key = idempotencyKeyOf(admitted.request.headers);
  const wish = { tenant, eventId, endpointId, atMs };
  if (key === null) return shown(admitted, await resend(deps, admitted, wish), false);

  const fingerprint = encodeHex(deps.hasher.sha256(`POST /v1/events/${eventId}/resend\n${admitted.text}`));
  const request = { tenant, key: claimOfKey(key), fingerprint, eventIds: [eventId], acceptedAtMs: atMs };
  const claim = await takeClaim(deps, request);
  if (claim.kind === "answered") return shown(admitted, claim.answer, true);
  try {
    // A claim that is retaken keeps its time, so that the deliveries are the same ones.
    const done = await resend(deps, admitted, { ...wish, atMs: claim.acceptedAtMs });
    await completeClaim(deps, request, done);
    return shown(admitted, done, false);
  } catch (failure) {
    await abandonClaim(deps, request);
    throw failure;
  }
}

function shown(admitted: AdmittedRequest, { status, body }: StoredAnswer, isReplay: boolean): Response {
  const headers = { "cache-control": "no-store", ...(isReplay ? { "idempotent-replayed": "true" } : {}) };
  return answer(admitted, status, body, headers);
}

/** Planned durably before it is answered. A crash before the answer sends the event again when the request is repeated. */
async function resend(deps: GatewayDeps, { context }: AdmittedRequest, wish: Resend): Promise<StoredAnswer> {
  const { tenant, eventId, endpointId, atMs } = wish;
  const record = await findKeptEvent(deps, tenant, eventId);
  const { envelope } = record;
  requireSent(record, deps.clock.now());
  const version = await deps.drivers.directory.version(tenant);
  const { endpoints } = await deps.drivers.directory.endpoints(tenant, version);
  const meant = endpointId === null ? subscribing(endpoints, envelope) : [named(endpoints, endpointId, envelope)];
  const active = meant.filter(({ status }) => status === "active");
  if (active.length === 0) throw nobody(meant, envelope);

  const ramp = createRamp(atMs, REPLAY_RATE_DEFAULT, context);
  const deliveries: { readonly delivery_id: string | undefined; readonly endpoint_id: string }[] = [];
  for (let from = 0; from < active.length; from += REPLAY_PAGE) {
    const page = active.slice(from, from + REPLAY_PAGE);
    const ids = await planReplays(
      deps,
      ramp,
      page.map(({ id }) => ({ endpointId: id, envelope })),
    );
    deliveries.push(...page.map(({ id }, index) => ({ delivery_id: ids[index], endpoint_id: id })));
  }
  const skipped = meant.flatMap(({ id, status }) =>
    status === "active" ? [] : [{ endpoint_id: id, reason: `the endpoint is ${status}` }],
  );
  const body = { event_id: eventId, replayed_at: instantText(atMs), deliveries, skipped };
  return { status: 202, body: JSON.stringify(body) };
}

/** Neither cancelled nor still to be sent at its `deliver_at`. */
function requireSent({ envelope, fanOut }: EventRecord, nowMs: number): void {
  if (fanOut?.isCancelled === true) {
    throw new PosthasteError("conflict", "The event was cancelled before its time; publish another with another id.");
  }
  const { deliverAtMs } = envelope;
  if (deliverAtMs === null || deliverAtMs <= nowMs) return;
  const at = instantText(deliverAtMs);
  throw new PosthasteError(
    "conflict",
    `The event is to be delivered at ${at} and was not sent yet; wait for that, or cancel it and publish another.`,
  );
}

function subscribing(endpoints: readonly Endpoint[], { type }: Envelope): readonly Endpoint[] {
  return endpoints.filter((endpoint) => matches(endpoint, type));
}

function named(endpoints: readonly Endpoint[], id: string, { type }: Envelope): Endpoint {
  const endpoint = endpoints.find((each) => each.id === id);
  if (endpoint === undefined) {
    throw failed([{ pointer: "#/endpoint_id", detail: "is no endpoint of the tenant; it may have been deleted" }]);
  }
  if (!matches(endpoint, type)) {
    const detail = `The endpoint does not subscribe to ${type}; PATCH its event_types first.`;
    throw new PosthasteError("conflict", detail);
  }
  if (endpoint.status !== "active") throw notActive(endpoint);
  return endpoint;
}

function nobody(meant: readonly Endpoint[], { type }: Envelope): PosthasteError {
  const detail =
    meant.length === 0
      ? `No endpoint of the tenant subscribes to ${type}; create one, or PATCH the event_types of one, first.`
      : `Every endpoint that subscribes to ${type} is paused or disabled (${meant.length}); PATCH one first.`;
  return new PosthasteError("conflict", detail);
}
