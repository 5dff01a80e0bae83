/** `POST /v1/portal-links`: a link by which one tenant's people come to its pages. It is sealed, and kept nowhere. */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import { NewPortalLink } from "@posthaste/shared/domain/portal-link.ts";
import type { PortalLink } from "../answers/portal-links.ts";
import { requireScope } from "../request/authenticate.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, BodyRule, Route } from "../request/handle.ts";
import { answerJson, bodyJson } from "../request/handle.ts";
import { originOf } from "../request/headers.ts";
import { ofTenant } from "../request/query.ts";
import { resolveTenant } from "../request/tenancy.ts";
import { failed, validateStrictly } from "../request/validation.ts";
import { instantText } from "./view-parts.ts";

/** What a program that has the portal brings. */
export interface PortalLinks {
  /** The origin that browsers reach this gateway by; null: that of each request. */
  readonly url: string | null;
  /** With the link in it. `hash` is that of the key that asks: the link ends with it. */
  pathOf(link: {
    readonly hash: string;
    readonly endsAtMs: number;
    readonly portal: {
      readonly tenant: string;
      readonly mayChange: boolean;
      readonly sessionMs: number;
      readonly returnUrl: string | null;
    };
  }): string;
}

export interface PortalLinkDeps extends Pick<GatewayDeps, "clock"> {
  /** Null: there is no portal here. */
  readonly portalLinks: PortalLinks | null;
}

const body: BodyRule = {
  schema: NewPortalLink,
  bytesMax: MANAGEMENT_BYTES_MAX,
  isOptional: true,
  takesCloudEvents: false,
};

export function portalLinkRoute(deps: PortalLinkDeps): Route {
  return {
    method: "POST",
    path: "/v1/portal-links",
    scope: "manage",
    query: ofTenant,
    body,
    handle: async (admitted) => create(deps, admitted),
  };
}

function create({ clock, portalLinks }: PortalLinkDeps, admitted: AdmittedRequest): Response {
  const { caller, query, request } = admitted;
  if (portalLinks === null) throw new PosthasteError("not-at-edge", NOT_HERE);
  const wish = validateStrictly(NewPortalLink, bodyJson(admitted));
  const tenant = resolveTenant(caller, wish.tenant ?? null, query.get("tenant") ?? null);
  if (tenant === OPERATOR_TENANT) throw noTenant(wish.tenant !== undefined);
  // Pages that show nothing are of no use: the key hears of it here, and not the people who follow the link.
  requireScope(caller, "read");
  const endsAtMs = Math.floor(clock.now()) + wish.expires_in_s * 1000;
  const { read_only: isReadOnly, session_s: sessionS, return_url: returnUrl = null } = wish;
  const portal = { tenant, mayChange: !isReadOnly, sessionMs: sessionS * 1000, returnUrl };
  const path = portalLinks.pathOf({ hash: caller.hash, endsAtMs, portal });
  const url = `${portalLinks.url ?? originOf(request.headers)}${path}`;
  const link: PortalLink = { url, tenant, expires_at: instantText(endsAtMs) };
  return answerJson(admitted, 201, link);
}

const NOT_HERE = "A gateway at the edge has no portal; ask one with TCP.";

function noTenant(isInBody: boolean): PosthasteError {
  const detail = "must be a tenant of yours; operators have the dashboard";
  if (isInBody) return failed([{ pointer: "#/tenant", detail }]);
  return new PosthasteError("invalid-query", {
    detail: "The portal is for tenants; operators have the dashboard.",
    errors: [{ parameter: "tenant", detail }],
  });
}
