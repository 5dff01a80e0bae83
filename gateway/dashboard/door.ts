/** The way into a place: who is in, the forms that are theirs, and what others are shown. */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { Sealer } from "@posthaste/shared/lib/ambient.ts";
import { refusalOf } from "../request/authenticate.ts";
import type { HandleDeps, MatchedRequest } from "../request/handle.ts";
import type { SessionCookie } from "./cookies.ts";
import type { Form } from "./form.ts";
import { fieldOf, readForm } from "./form.ts";
import type { Place } from "./place.ts";
import { HOME } from "./place.ts";
import { moved, refusedPage } from "./responses.ts";
import { formRefused, requireSameOrigin } from "./same-origin.ts";
import type { Purpose, Session } from "./session.ts";
import { isFormToken, openSession } from "./session.ts";

export interface DoorParts {
  readonly sealer: Sealer;
  readonly deps: HandleDeps;
}

export interface SignedIn {
  readonly caller: ApiKey;
  readonly cookie: string;
  /** Of the portal: where whoever came by a link came from. */
  readonly returnUrl: string | null;
}

export interface Door {
  readonly place: Place;
  readonly cookie: SessionCookie;
  readonly purpose: Purpose;
  /** What the key of a session may do in it; null: no more. */
  readonly narrowed: (key: ApiKey, session: Session) => ApiKey | null;
  /** In place of a page; `refusal` says why the session or link before is no good. */
  readonly stranger: (matched: MatchedRequest, refusal: string | null, status: 200 | 401) => Response;
}

/** Null: nobody. A sentence: somebody who is let in no more. */
export async function whoIs(
  door: Door,
  { request }: MatchedRequest,
  { sealer, deps }: DoorParts,
): Promise<SignedIn | string | null> {
  const cookie = door.cookie.of(request.headers);
  if (cookie === null || cookie === "") return null;
  const session = openSession(sealer, cookie, door.purpose, deps.clock.now());
  if (session === null) return "Your session has ended. Sign in again.";
  const found = await callerOf(door, session, deps);
  if (typeof found === "string") return found;
  return { caller: found, cookie, returnUrl: session.portal?.returnUrl ?? null };
}

/** The key of a session, or of a link, as it is now; a sentence: why it is no good. */
export async function callerOf(
  { narrowed }: Pick<Door, "narrowed">,
  session: Session,
  { drivers, clock }: HandleDeps,
): Promise<ApiKey | string> {
  const key = await drivers.apiKeys.find(session.hash);
  const refusal = refusalOf(key, clock.now());
  const caller = key === null || refusal !== null ? null : narrowed(key, session);
  return caller ?? refusal?.detail ?? "This API key is not known.";
}

export function isSomebody(found: SignedIn | string | null): found is SignedIn {
  return found !== null && typeof found !== "string";
}

/** Of the session's own pages alone: by the browser's word and by the token. */
export async function sentForm(
  matched: MatchedRequest,
  { caller, cookie }: SignedIn,
  { deps }: Pick<DoorParts, "deps">,
): Promise<Form> {
  requireSameOrigin(matched.request.headers);
  const form = await readForm(matched, deps.admission, caller);
  if (!isFormToken(deps.hasher, cookie, fieldOf(form, "token"))) {
    throw formRefused("This form belongs to another session.");
  }
  return form;
}

/** Without a session there is nothing to end, and the cookie goes all the same. */
export async function signOut(door: Door, matched: MatchedRequest, parts: DoorParts): Promise<Response> {
  const { place } = door;
  try {
    const found = await whoIs(door, matched, parts);
    if (isSomebody(found)) await sentForm(matched, found, parts);
    return moved(place, HOME, { "set-cookie": door.cookie.endedField(matched.request.headers) });
  } catch (thrown) {
    return refusedPage(thrown, matched, parts.deps, { place, section: null, signedIn: null });
  }
}
