/** The way in and out, and who is in. */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { hashApiKey, isPresentableKey } from "@posthaste/shared/domain/api-key.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import type { RecentSet } from "@posthaste/shared/lib/recent-set.ts";
import { refusalOf } from "../request/authenticate.ts";
import type { HandleDeps, MatchedRequest } from "../request/handle.ts";
import type { Form } from "./form.ts";
import { fieldOf, readForm } from "./form.ts";
import { pageText } from "./layout.ts";
import type { Condition } from "./page-request.ts";
import { HOME, htmlResponse, moved, refusedPage } from "./responses.ts";
import { formRefused, isSecure, requireSameOrigin } from "./same-origin.ts";
import {
  cookieField,
  cookieOf,
  endedCookieField,
  isFormToken,
  openSession,
  sealSession,
  SESSION_MS,
} from "./session.ts";
import { signInView } from "./sign-in-page.ts";

/** What only a program that has a dashboard brings. */
export interface DashboardParts extends Pick<Condition, "queues" | "alerts"> {
  readonly sealer: Sealer;
}

interface Parts extends Pick<DashboardParts, "sealer"> {
  readonly deps: HandleDeps;
}

interface UsedLinks {
  readonly usedLinks: RecentSet<string>;
}

export interface SignedIn {
  readonly caller: ApiKey;
  readonly cookie: string;
}

/** Null: nobody. A sentence: somebody whose key is no good any more. */
export async function whoIs({ request }: MatchedRequest, { sealer, deps }: Parts): Promise<SignedIn | string | null> {
  const cookie = cookieOf(request.headers);
  if (cookie === null || cookie === "") return null;
  const session = openSession(sealer, cookie, "dashboard session", deps.clock.now());
  if (session === null) return "Your session has ended. Sign in again.";
  const caller = await deps.drivers.apiKeys.find(session.hash);
  const refusal = refusalOf(caller, deps.clock.now());
  if (caller === null || refusal !== null) return refusal?.detail ?? "This API key is not known.";
  return { caller, cookie };
}

/** Of the session's own pages alone: by the browser's word and by the token. */
export async function sentForm(
  matched: MatchedRequest,
  { caller, cookie }: SignedIn,
  { deps }: Pick<Parts, "deps">,
): Promise<Form> {
  requireSameOrigin(matched.request.headers);
  const form = await readForm(matched, deps.admission, caller);
  if (!isFormToken(deps.hasher, cookie, fieldOf(form, "token"))) {
    throw formRefused("This form belongs to another session.");
  }
  return form;
}

export async function signIn(matched: MatchedRequest, parts: Parts & UsedLinks): Promise<Response> {
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
      if (link !== "" && isSomebody(await whoIs(matched, parts))) return moved(next, {});
      return signInPage(matched, { refusal: link === "" ? UNKNOWN : OLD_LINK, status: 401, next });
    }
    const cookie = sealSession(sealer, { hash, endsAtMs: nowMs + SESSION_MS }, "dashboard session");
    return moved(next, { "set-cookie": cookieField(cookie, isSecure(headers)) });
  } catch (thrown) {
    return refusedPage(thrown, matched, deps, { section: null, signedIn: null });
  }
}

const UNKNOWN = "This API key is not known.";
const OLD_LINK = "This link was used before, or is too old. Give the API key instead.";

export function isSomebody(found: SignedIn | string | null): found is SignedIn {
  return found !== null && typeof found !== "string";
}

function hashOf(key: string, { hasher }: Pick<HandleDeps, "hasher">): string | null {
  return isPresentableKey(key) ? hashApiKey(key, hasher) : null;
}

function linkedHash(link: string, { sealer }: Parts, nowMs: number): string | null {
  return openSession(sealer, link, "dashboard sign-in link", nowMs)?.hash ?? null;
}

/** Without a session there is nothing to end, and the cookie goes all the same. */
export async function signOut(matched: MatchedRequest, parts: Parts): Promise<Response> {
  try {
    const found = await whoIs(matched, parts);
    if (isSomebody(found)) await sentForm(matched, found, parts);
    return moved(HOME, { "set-cookie": endedCookieField(isSecure(matched.request.headers)) });
  } catch (thrown) {
    return refusedPage(thrown, matched, parts.deps, { section: null, signedIn: null });
  }
}

export function signInPage(
  { request }: MatchedRequest,
  { refusal, status, next }: { readonly refusal: string | null; readonly status: number; readonly next?: string },
): Response {
  const body = signInView({ next: next ?? nextOf(pathAndQuery(request.url)), refusal });
  return htmlResponse(status, pageText({ title: "Sign in", body, section: null, signedIn: null }));
}

/** A page of ours, whatever was asked for. */
function nextOf(path: string): string {
  return /^\/dashboard(?:[/?][\w\-.~%&=/?:*+,@]*)?$/.test(path) ? path : HOME;
}

function pathAndQuery(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  return start === -1 ? HOME : url.slice(start);
}
