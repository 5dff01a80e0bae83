/**
 * `POST /v1/events/:id/cancel`: an event with `deliver_at`, before its time. It is cancelled or it is sent, and never both:
 * the store decides in one step which came first (port `cancellations`).
 */
import * as v from "valibot";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { cancelledFanOut } from "@posthaste/shared/ports/ledger.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { requireInTime } from "../request/context.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, Route } from "../request/handle.ts";
import { answerJson, bodyJson } from "../request/handle.ts";
import { ofTenant } from "../request/query.ts";
import { resolveTenant } from "../request/tenancy.ts";
import { validate } from "../request/validation.ts";
import { findEvent, namedEvent } from "./find-event.ts";
import { instantText } from "./view-parts.ts";

const Nothing = v.strictObject({});

export function eventCancelRoute(deps: GatewayDeps): Route {
  return {
    method: "POST",
    path: "/v1/events/:id/cancel",
    scope: "publish",
    query: ofTenant,
    body: { schema: Nothing, bytesMax: MANAGEMENT_BYTES_MAX, isOptional: true, takesCloudEvents: false },
    handle: (admitted) => cancel(deps, admitted),
  };
}

/** A crash after the decision costs the ledger's word of it until the event's time: then it is dropped, and told again. */
async function cancel(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  validate(Nothing, bodyJson(admitted));
  const tenant = resolveTenant(admitted.caller, null, admitted.query.get("tenant") ?? null);
  const { envelope } = await findEvent(deps, tenant, namedEvent(admitted));
  const { id, acceptedAtMs, deliverAtMs } = envelope;
  if (deliverAtMs === null) {
    throw new PosthasteError(
      "conflict",
      "The event has no deliver_at: it was sent at once, and cannot be called back.",
    );
  }
  requireInTime(admitted.context);
  const decision = await deps.drivers.cancellations.cancel({ tenant, id, acceptedAtMs, deliverAtMs });
  switch (decision) {
    case "cancelled":
      deps.drivers.ledger.record([
        { kind: "fan-out", fanOut: cancelledFanOut(envelope, Math.floor(deps.clock.now())) },
      ]);
      return answerJson(admitted, 200, { id, state: "cancelled", deliver_at: instantText(deliverAtMs) });
    case "begun": {
      const at = instantText(deliverAtMs);
      throw new PosthasteError("conflict", `Too late: the event was due at ${at} and is being sent, or was sent.`);
    }
    default:
      return unreachable(decision);
  }
}
