/** `POST /v1/events/batch`: up to 1,000 events in one request; 200 with a result for each, in order. */
import { BATCH_BYTES_MAX, NewBatch } from "@posthaste/shared/domain/event.ts";
import { CATALOGUE_RULES, eventFaults } from "@posthaste/shared/domain/event-types.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import type { BatchAcceptance } from "./accept-batch.ts";
import { acceptBatch } from "./accept-batch.ts";
import type { CheckType } from "./draft.ts";
import { batchTexts, readItems } from "./batch-items.ts";
import { idempotencyKeyOf } from "../request/headers.ts";
import { charge, giveBack, requireGrantable } from "../request/rate-limit.ts";
import { answer } from "../request/handle.ts";
import { ofTenant } from "../request/query.ts";
import { resolveTenant, tenantSuffix } from "../request/tenancy.ts";

const PATH = "/v1/events/batch";

export function batchRoute(deps: GatewayDeps): Route {
  return {
    method: "POST",
    path: PATH,
    scope: "publish",
    query: ofTenant,
    body: { schema: NewBatch, bytesMax: BATCH_BYTES_MAX, isOptional: false, takesCloudEvents: false },
    chargesItself: true,
    handle: (admitted) => publishBatch(deps, admitted),
  };
}

async function publishBatch(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { caller, context, text } = admitted;
  const { headers } = admitted.request;
  const key = idempotencyKeyOf(headers);
  const queryTenant = admitted.query.get("tenant") ?? null;
  const tenant = resolveTenant(caller, null, queryTenant);
  const texts = batchTexts(text);
  // In one charge, all or nothing, and only for a batch that is well-formed. What is refused whole, or was not stored, is
  // given back.
  requireGrantable(caller, texts.length);
  const { rateLimiter } = deps.drivers;
  const grant = await charge(rateLimiter, caller, texts.length, admitted.headers);
  const { taken } = deps.catalogue ?? CATALOGUE_RULES;
  const nowMs = deps.clock.now();
  try {
    const catalogue = await deps.drivers.eventTypes.known();
    const check: CheckType = (type, data) => eventFaults(catalogue, taken, type, data);
    const acceptance: BatchAcceptance = {
      items: await readItems(texts, { caller, queryTenant, nowMs, check }, admitted.inTurn),
      tenant,
      suffixOf: (itemTenant) => tenantSuffix(caller, itemTenant),
      idempotency: key === null ? null : { key, fingerprint: encodeHex(deps.hasher.sha256(`POST ${PATH}\n${text}`)) },
      context,
    };
    const { answer: stored, isReplay, failedCount } = await acceptBatch(deps, acceptance);
    if (grant !== null) await giveBack(rateLimiter, caller, { ...grant, cost: failedCount }, admitted.headers);
    return answer(admitted, stored.status, stored.body, isReplay ? { "idempotent-replayed": "true" } : undefined);
  } catch (refusal) {
    if (grant !== null) await giveBack(rateLimiter, caller, grant, admitted.headers);
    throw refusal;
  }
}
