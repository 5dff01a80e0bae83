/** The way into the dashboard: by an API key, or by a link that a program printed. */
import { hashApiKey, isPresentableKey } from "@posthaste/shared/domain/api-key.ts";
import type { RecentSet } from "@posthaste/shared/lib/recent-set.ts";
import { refusalOf } from "../request/authenticate.ts";
import type { HandleDeps, MatchedRequest } from "../request/handle.ts";
import { dashboardCookie } from "./cookies.ts";
import type { Door, DoorParts } from "./door.ts";
import { isSomebody, whoIs } from "./door.ts";
import { fieldOf, readForm } from "./form.ts";
import { pageText } from "./layout.ts";
import { DASHBOARD, HOME } from "./place.ts";
import { htmlResponse, moved, refusedPage } from "./responses.ts";
import { requireSameOrigin } from "./same-origin.ts";
import { openSession, sealSession, SESSION_MS } from "./session.ts";
import { signInView } from "./sign-in-page.ts";

interface UsedLinks {
  readonly usedLinks: RecentSet<string>;
}

export const dashboardDoor: Door = {
  place: DASHBOARD,
  cookie: dashboardCookie,
  purpose: "dashboard session",
  narrowed: (key) => key,
  stranger: (matched, refusal, status) => signInPage(matched, { refusal, status }),
};

export async function signIn(matched: MatchedRequest, parts: DoorParts & UsedLinks): Promise<Response> {
  const { sealer, deps } = parts;
  const { headers } = matched.request;
  try {
    requireSameOrigin(headers);
    const form = await readForm(matched, deps.admission, null);
    const next = nextOf(fieldOf(form, "next"));
    const link = fieldOf(form, "link");
    const nowMs = Math.floor(deps.clock.now());
    const hash = link === "" ? hashOf(fieldOf(form, "key"), deps) : linkedHash(link, parts, nowMs);
    const refusal = hash === null ? null : refusalOf(await deps.drivers.apiKeys.find(hash), nowMs);
    if (refusal !== null) return signInPage(matched, { refusal: refusal.detail, status: 401, next });
    // Only now, so that it is not used up while its key cannot be looked up.
    if (hash === null || (link !== "" && !parts.usedLinks.add(link))) {
      if (link !== "" && isSomebody(await whoIs(dashboardDoor, matched, parts))) return moved(DASHBOARD, next, {});
      return signInPage(matched, { refusal: link === "" ? UNKNOWN : OLD_LINK, status: 401, next });
    }
    const cookie = sealSession(sealer, { hash, endsAtMs: nowMs + SESSION_MS }, "dashboard session");
    return moved(DASHBOARD, next, { "set-cookie": dashboardCookie.field(cookie, SESSION_MS / 1000, headers) });
  } catch (thrown) {
    return refusedPage(thrown, matched, deps, { place: DASHBOARD, section: null, signedIn: null });
  }
}

const UNKNOWN = "This API key is not known.";
const OLD_LINK = "This link was used before, or is too old. Give the API key instead.";

function hashOf(key: string, { hasher }: Pick<HandleDeps, "hasher">): string | null {
  return isPresentableKey(key) ? hashApiKey(key, hasher) : null;
}

function linkedHash(link: string, { sealer }: DoorParts, nowMs: number): string | null {
  return openSession(sealer, link, "dashboard sign-in link", nowMs)?.hash ?? null;
}

function signInPage(
  { request }: MatchedRequest,
  { refusal, status, next }: { readonly refusal: string | null; readonly status: number; readonly next?: string },
): Response {
  const body = signInView({ next: next ?? nextOf(pathAndQuery(request.url)), refusal });
  const frame = { place: DASHBOARD, title: "Sign in", body, section: null, signedIn: null };
  return htmlResponse(DASHBOARD, status, pageText(frame));
}

/** A page of ours, whatever was asked for. */
function nextOf(path: string): string {
  return /^\/dashboard(?:[/?][\w\-.~%&=/?:*+,@]*)?$/.test(path) ? path : HOME;
}

function pathAndQuery(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  return start === -1 ? HOME : url.slice(start);
}
