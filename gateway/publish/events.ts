/** `POST /v1/events`: one event, as JSON or as a CloudEvent; 202 once it is durable. */
import { EVENT_BYTES_MAX, NewEvent } from "@posthaste/shared/domain/event.ts";
import { CATALOGUE_RULES, eventFaults } from "@posthaste/shared/domain/event-types.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { acceptEvent } from "./accept.ts";
import type { CheckType, ReadDraft } from "./draft.ts";
import { readDraft } from "./draft.ts";
import { idempotencyKeyOf } from "../request/headers.ts";
import { answer } from "../request/handle.ts";
import { ofTenant } from "../request/query.ts";
import { resolveTenant, tenantSuffix } from "../request/tenancy.ts";

const PATH = "/v1/events";

export function publishRoute(deps: GatewayDeps): Route {
  return {
    method: "POST",
    path: PATH,
    scope: "publish",
    query: ofTenant,
    body: { schema: NewEvent, bytesMax: EVENT_BYTES_MAX, isOptional: false, takesCloudEvents: true },
    handle: (admitted) => publish(deps, admitted),
  };
}

async function publish(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { request, caller, form, text } = admitted;
  const { headers } = request;
  const { taken } = deps.catalogue ?? CATALOGUE_RULES;
  const known = deps.drivers.eventTypes.known();
  // A store that has to be asked ends the turn; what is to be done with the body is done in another one.
  const catalogue = known instanceof Promise ? await known : known;
  const read = (): ReadDraft => {
    const check: CheckType = (type, data) => eventFaults(catalogue, taken, type, data);
    return readDraft({ text, form, headers, nowMs: deps.clock.now(), hasher: deps.hasher, check });
  };
  const { draft, headerText } = known instanceof Promise ? await admitted.inTurn(read) : read();
  const tenant = resolveTenant(caller, draft.tenant, admitted.query.get("tenant") ?? null);
  const key = idempotencyKeyOf(headers);
  const { answer: stored, isReplay } = await acceptEvent(deps, {
    draft,
    tenant,
    tenantSuffix: tenantSuffix(caller, tenant),
    idempotency: key === null ? null : { key, fingerprint: fingerprintOf(deps, form, headerText, text) },
    context: admitted.context,
  });
  return answer(admitted, stored.status, stored.body, isReplay ? { "idempotent-replayed": "true" } : undefined);
}

/** Method, path, form, attributes that came as headers, and the body as it came. */
function fingerprintOf(deps: GatewayDeps, form: string, headerText: string, text: string): string {
  return encodeHex(deps.hasher.sha256(`POST ${PATH}\n${form}\n${headerText}\n${text}`));
}
