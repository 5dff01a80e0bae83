/** How each page comes about, in either place: who is in, may they, is the form ours, and what is shown. */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { originOf } from "../request/headers.ts";
import type { MatchedRequest } from "../request/handle.ts";
import { parseQuery } from "../request/query.ts";
import type { createApi } from "./api.ts";
import type { Door, DoorParts, SignedIn } from "./door.ts";
import { isSomebody, sentForm, whoIs } from "./door.ts";
import { NO_FORM } from "./form.ts";
import type { Frame } from "./layout.ts";
import type { Condition, PageRequest, PageRule } from "./page-request.ts";
import { can } from "./page-request.ts";
import type { Place } from "./place.ts";
import { HOME } from "./place.ts";
import { Refused } from "./refused.ts";
import { comeAgain, pageResponse, refusedPage } from "./responses.ts";
import { formToken } from "./session.ts";

export interface PageParts extends DoorParts {
  readonly door: Door;
  readonly condition: Condition;
  readonly apiOf: ReturnType<typeof createApi>;
}

export async function showPage(rule: PageRule, matched: MatchedRequest, parts: PageParts): Promise<Response> {
  const { door, deps } = parts;
  const { place } = door;
  let signedIn: Frame["signedIn"] = null;
  try {
    const found = await whoIs(door, matched, parts);
    if (found === null && isLedHere(place, matched)) return comeAgain(place);
    if (!isSomebody(found)) return door.stranger(matched, found, rule.path === HOME ? 200 : 401);
    deps.admission.pastHead(matched.context);
    const token = formToken(deps.hasher, found.cookie);
    signedIn = { ...found, token };
    const form = rule.method === "POST" ? await sentForm(matched, found, parts) : NO_FORM;
    requireMayDo(found.caller, rule, place);
    const shown = await rule.show(pageRequest(matched, parts, { ...found, form, token }));
    return pageResponse(shown, { place, section: rule.section, signedIn });
  } catch (thrown) {
    return refusedPage(thrown, matched, deps, { place, section: rule.section, signedIn });
  }
}

function pageRequest(
  matched: MatchedRequest,
  { door, deps, condition, apiOf }: PageParts,
  { caller, form, token }: SignedIn & Pick<PageRequest, "form" | "token">,
): PageRequest {
  const { request, param } = matched;
  return {
    place: door.place,
    caller,
    api: apiOf(caller, matched),
    condition,
    drivers: deps.drivers,
    query: parseQuery(request.url).query,
    form,
    token,
    origin: originOf(request.headers),
    nowMs: deps.clock.now(),
    param,
  };
}

/** By a link on another site: then browsers leave a cookie of `SameSite=Strict` out, which the dashboard's is. */
function isLedHere({ isPortal }: Place, { request: { method, headers } }: MatchedRequest): boolean {
  const isLed = headers.get("sec-fetch-site") === "cross-site" && headers.get("sec-fetch-dest") === "document";
  return !isPortal && method === "GET" && isLed;
}

function requireMayDo(caller: ApiKey, { scope }: PageRule, { isPortal }: Place): void {
  if (can(caller, scope)) return;
  const detail = isPortal
    ? "The link that you came by is for looking only."
    : `The API key that you signed in with lacks the scope ${scope}. Sign in with one that has it.`;
  throw new Refused({ status: 403, title: isPortal ? "You may only look" : "This key may not do that", detail });
}
