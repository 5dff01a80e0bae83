/** Actions on one endpoint: rotate its secret, send it a test event. */
import * as v from "valibot";
import { EndpointSecretText, rotateSecrets, SECRETS_MAX } from "@posthaste/shared/domain/endpoint.ts";
import type { Endpoint, EndpointSecret } from "@posthaste/shared/domain/endpoint.ts";
import { PublishedType } from "@posthaste/shared/domain/event.ts";
import { TEST_EVENT_TYPE } from "@posthaste/shared/domain/own-event.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { newSecret } from "@posthaste/shared/domain/signature.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { BodyRule, AdmittedRequest, Route } from "../request/handle.ts";
import { envelopeOf, freshId } from "../publish/accept.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { scheduleOrRefuse } from "./schedule.ts";
import { findEndpoint, namedEndpoint, noEndpoint, notActive } from "./find-endpoint.ts";
import { requireInTime } from "../request/context.ts";
import { instantText } from "./view-parts.ts";
import { answerJson, bodyJson } from "../request/handle.ts";
import { ofTenant } from "../request/query.ts";
import { tenantSuffix } from "../request/tenancy.ts";
import { failed, validate } from "../request/validation.ts";

const TEST_MESSAGE = "A test event from Posthaste.";

const NewSecret = v.strictObject({
  secret: v.pipe(v.optional(EndpointSecretText), v.description("One of your own; one is made without it.")),
});
const TestWish = v.strictObject({
  type: v.pipe(
    v.optional(v.union([v.literal(TEST_EVENT_TYPE), PublishedType]), TEST_EVENT_TYPE),
    v.description(
      "Of the event. The endpoint gets it whatever it subscribes to, and no other endpoint does. One of the catalogue of event types brings its example as data.",
    ),
  ),
});
const rules = { bytesMax: MANAGEMENT_BYTES_MAX, isOptional: true, takesCloudEvents: false };
const newSecretRule: BodyRule = { ...rules, schema: NewSecret };
const testRule: BodyRule = { ...rules, schema: TestWish };

export function endpointActionRoutes(deps: GatewayDeps): readonly Route[] {
  const shared = { method: "POST", scope: "manage", query: ofTenant } as const;
  return [
    {
      ...shared,
      path: "/v1/endpoints/:id/rotate-secret",
      body: newSecretRule,
      handle: (admitted) => rotate(deps, admitted),
    },
    { ...shared, path: "/v1/endpoints/:id/test", body: testRule, handle: (admitted) => sendTest(deps, admitted) },
  ];
}

async function rotate(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { tenant, id } = namedEndpoint(admitted);
  const wish = validate(NewSecret, bodyJson(admitted));
  requireInTime(admitted.context);
  const nowMs = Math.floor(deps.clock.now());
  const secret = wish.secret ?? newSecret(deps.entropy);
  const changed = await deps.drivers.directory.update(tenant, id, (endpoint) => ({
    ...endpoint,
    secrets: secretsAfter(endpoint, secret, nowMs),
    updatedAtMs: nowMs,
  }));
  if (changed === null) throw noEndpoint();
  return answerJson(admitted, 200, {
    secret,
    previous_expires_at: instantText(changed.secrets[1]?.expiresAtMs ?? null),
  });
}

/** Throws what refuses the rotation, in the same step as it is made. */
function secretsAfter(endpoint: Endpoint, secret: string, nowMs: number): readonly EndpointSecret[] {
  if (endpoint.secrets.some((old) => old.secret === secret)) {
    throw failed([{ pointer: "#/secret", detail: "is in use here already; give another, or none and one is made" }]);
  }
  const rotation = rotateSecrets(endpoint, secret, nowMs);
  if (rotation.kind === "rotated") return rotation.secrets;
  const until = instantText(rotation.freeAtMs) ?? "";
  throw new PosthasteError("conflict", {
    detail: `${SECRETS_MAX} secrets sign already, as promised at their rotations; rotate again from ${until}.`,
    retryAfterS: Math.max(1, Math.ceil((rotation.freeAtMs - nowMs) / 1000)),
  });
}

/**
 * The test goes to this endpoint alone, whatever others subscribe to. So it is a planned delivery and passes no lane, where
 * it would be fanned out. The ledger gets the fan-out that would have led here.
 */
async function sendTest(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { type } = validate(TestWish, bodyJson(admitted));
  const endpoint = await findEndpoint(deps, admitted);
  if (endpoint.status !== "active") throw notActive(endpoint);
  requireInTime(admitted.context);
  const { tenant } = endpoint;
  const acceptedAtMs = Math.floor(deps.clock.now());
  const id = freshId(deps);
  const listed = (await deps.drivers.eventTypes.known())?.types.get(type);
  const dataText = listed?.exampleText ?? JSON.stringify({ endpoint_id: endpoint.id, message: TEST_MESSAGE });
  const draft = {
    type,
    priority: "HIGH",
    id,
    tenant,
    timestampMs: null,
    deliverAtMs: null,
    dataText,
  } as const;
  const { trace } = admitted.context;
  const carried = deps.telemetry.trace.carried(trace, { tenant, id, index: 0 });
  const directoryVersion = await deps.drivers.directory.version(tenant);
  const envelope = envelopeOf(draft, { id, tenant, acceptedAtMs, carried, directoryVersion });
  const plan = {
    cause: "replay",
    notBeforeMs: acceptedAtMs,
    endpointId: endpoint.id,
    generation: 0,
    attempt: 1,
  } as const;
  await scheduleOrRefuse(deps.drivers.retryQueue, [scheduledEvent(envelope, plan)]);
  deps.telemetry.trace.sent(trace, envelope, { index: 0, startMs: acceptedAtMs, failure: undefined });
  deps.telemetry.trace.fannedOut({
    envelope,
    startMs: acceptedAtMs,
    matchedCount: 1,
    filteredCount: 0,
    isRepeat: false,
  });
  const matched = [endpoint.id];
  const fanOut = { tenant, eventId: id, atMs: acceptedAtMs, matched, matchedCount: 1, filtered: [], filteredCount: 0 };
  deps.drivers.ledger.record([{ kind: "fan-out", fanOut }]);
  const statusUrl = `/v1/events/${id}${tenantSuffix(admitted.caller, tenant)}`;
  return answerJson(admitted, 202, { id, lane: "high", status_url: statusUrl });
}
