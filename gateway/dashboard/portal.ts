/**
 * `/portal`: the pages for the people of one tenant, who hold no API key. Whoever runs the SaaS asks for a link
 * (`POST /v1/portal-links`); it opens a session that may do less than the key that asked: this tenant's endpoints, events and dead
 * letters, seen or changed.
 */
import { html } from "hono/html";
import type { ApiKey, Scope } from "@posthaste/shared/domain/api-key.ts";
import { TENANT_KEY_RATE_LIMIT } from "@posthaste/shared/domain/api-key.ts";
import type { PortalLook } from "@posthaste/shared/domain/portal-config.ts";
import type { MatchedRequest, Route } from "../request/handle.ts";
import type { SessionCookie } from "./cookies.ts";
import { portalCookie } from "./cookies.ts";
import type { Door, DoorParts } from "./door.ts";
import { callerOf } from "./door.ts";
import { fieldOf, readForm } from "./form.ts";
import { pageText } from "./layout.ts";
import type { Place } from "./place.ts";
import { HOME, portalPlace } from "./place.ts";
import { htmlResponse, moved, refusedPage } from "./responses.ts";
import { requireSameOrigin } from "./same-origin.ts";
import type { Session } from "./session.ts";
import { openSession, sealSession } from "./session.ts";

/** What pages of the portal never ask, whatever they are changed into one day: it is for who holds a key. */
const KEYS_ALONE = /^\/v1\/(?:api-keys|quarantine|portal-links)(?:\/|$)/;

export function portalCalls(routes: readonly Route[]): readonly Route[] {
  return routes.filter(({ path }) => !KEYS_ALONE.test(path));
}

export function portalDoor({ name, origins, logo }: PortalLook): Door {
  const place = portalPlace({ name, origins, hasLogo: logo !== null });
  return {
    place,
    cookie: portalCookie(origins.length > 0),
    purpose: "portal session",
    narrowed,
    stranger: (_matched, refusal) => strangerPage(place, refusal === null ? "You are not signed in here." : ENDED),
  };
}

const MAY_LOOK: readonly Scope[] = ["read"];
const MAY_CHANGE: readonly Scope[] = ["read", "manage"];

/**
 * The key as far as the session goes. It counts by itself: portals of other tenants by the same key, and who publishes with it, lose
 * nothing to this one.
 */
function narrowed(key: ApiKey, { portal, endsAtMs }: Session): ApiKey | null {
  if (portal === undefined || (key.tenant !== null && key.tenant !== portal.tenant)) return null;
  const scopes = portal.mayChange ? MAY_CHANGE : MAY_LOOK;
  return {
    ...key,
    id: `${key.id}-portal-${portal.tenant}`,
    name: "portal",
    hint: "",
    tenant: portal.tenant,
    scopes: scopes.filter((scope) => key.scopes.includes(scope)),
    rateLimit: key.rateLimit ?? TENANT_KEY_RATE_LIMIT,
    // So that a stream ends with its session.
    expiresAtMs: Math.min(key.expiresAtMs ?? endsAtMs, endsAtMs),
  };
}

const ENDED = "Your session has ended, or was ended.";
const NO_LINK = "This link is too old, or is not whole.";
const AGAIN = "Go back to where you came from, and open this from there again.";

/** Whoever was here before: the link says who is here now. */
export async function enterByLink(door: Door, matched: MatchedRequest, parts: DoorParts): Promise<Response> {
  const { place } = door;
  const { sealer, deps } = parts;
  const { headers } = matched.request;
  try {
    requireSameOrigin(headers);
    const form = await readForm(matched, deps.admission, null);
    const nowMs = Math.floor(deps.clock.now());
    const link = openSession(sealer, fieldOf(form, "link"), "portal link", nowMs);
    if (link?.portal === undefined) return strangerPage(place, NO_LINK);
    const caller = await callerOf(door, link, deps);
    if (typeof caller === "string") return strangerPage(place, NO_LINK);
    return moved(place, HOME, { "set-cookie": sessionField(link, door.cookie, matched, parts) });
  } catch (thrown) {
    return refusedPage(thrown, matched, deps, { place, section: null, signedIn: null });
  }
}

function sessionField(
  { hash, portal }: Session,
  cookie: SessionCookie,
  { request }: MatchedRequest,
  { sealer, deps }: DoorParts,
): string {
  const { sessionMs = 0 } = portal ?? {};
  const endsAtMs = Math.floor(deps.clock.now()) + sessionMs;
  const sealed = sealSession(sealer, { hash, endsAtMs, ...(portal && { portal }) }, "portal session");
  return cookie.field(sealed, Math.ceil(sessionMs / 1000), request.headers);
}

/** The page that a link leads to: its script hands in what stands behind `#`. */
export function linkPage(place: Place): Response {
  const body = html`${LINK_FORM}
    <p>One moment. If nothing happens, this address has no link in it: ${AGAIN.toLowerCase()}</p>
    <noscript><p class="notice odd">It takes JavaScript to come in.</p></noscript>`;
  const frame = { place, title: "Coming in", body, section: null, signedIn: null };
  return htmlResponse(place, 200, pageText(frame));
}

/** With the form: a browser that is here loads nothing anew for another link, of which only the end differs. */
function strangerPage(place: Place, why: string): Response {
  const body = html`<p class="notice odd" role="alert">${why}</p>
    <p>${AGAIN}</p>
    ${LINK_FORM}`;
  const frame = { place, title: "Not signed in", body, section: null, signedIn: null };
  return htmlResponse(place, 401, pageText(frame));
}

const LINK_FORM = html`<form method="post" action="/dashboard/sign-in" id="sign-in">
  <input type="hidden" name="link" value="" />
</form>`;
