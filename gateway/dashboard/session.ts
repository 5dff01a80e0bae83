/**
 * Who is signed in. A session is the hash of an API key and an end, sealed with the master key: it lies in the caller's cookie
 * alone, any gateway of the deployment opens it, and each request looks its key up anew, so that it ends with the key. One of the
 * portal has its tenant in it, too.
 */
import { decodeBase64, encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import { RETURN_URL_LENGTH_MAX } from "@posthaste/shared/domain/portal-link.ts";
import type { Hasher, Sealer } from "@posthaste/shared/lib/ambient.ts";
import { SealBroken } from "@posthaste/shared/lib/ambient.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";

export const SESSION_MS = 12 * 3600 * 1000;
/** A link that signs in works so long, and once in each gateway process. */
export const LINK_MS = 3600 * 1000;

/** What is sealed for one purpose does not open for another. */
export type Purpose = "dashboard session" | "dashboard sign-in link" | "portal session" | "portal link";

/** Less than the key may do: one tenant's things, seen or changed. */
export interface PortalGrant {
  readonly tenant: string;
  readonly mayChange: boolean;
  /** Of the session that a link opens. */
  readonly sessionMs: number;
  /** Where the link back leads; null: there is none. As `NewPortalLink` takes it. */
  readonly returnUrl: string | null;
}

export interface Session {
  /** Of the API key, as `ApiKeyStore.find` takes it. */
  readonly hash: string;
  readonly endsAtMs: number;
  /** Of the portal alone. */
  readonly portal?: PortalGrant;
}

const HASH_BYTES = 32;
/** The hash, and the end as a double. */
const SESSION_BYTES = HASH_BYTES + 8;
/** Behind them, of the portal: how long, what it may, and as text the tenant's name and, on a second line, the way back. */
const GRANT_BYTES = 5;
/** More than what is sealed here comes to: a third more than the way back, and the rest. */
const SEALED_LENGTH_MAX = 256 + Math.ceil((4 * RETURN_URL_LENGTH_MAX) / 3);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function sealSession(sealer: Sealer, session: Session, purpose: Purpose): string {
  assert(purpose.startsWith("portal") === (session.portal !== undefined), "the portal's have a grant, and no others");
  const sealed = encodeBase64(sealer.seal(packed(session), purpose));
  return sealed.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Null for what is not ours, what is altered, what is for another purpose, and what has ended. */
export function openSession(sealer: Sealer, text: string, purpose: Purpose, nowMs: number): Session | null {
  if (text.length > SEALED_LENGTH_MAX) return null;
  const padded = text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4);
  const sealed = decodeBase64(padded);
  const session = sealed === null ? null : opened(sealer, sealed, purpose);
  return session !== null && session.endsAtMs > nowMs ? session : null;
}

function packed({ hash, endsAtMs, portal }: Session): Uint8Array {
  assert(/^[0-9a-f]{64}$/.test(hash), "the hash of an API key is SHA-256 in hex");
  const back = portal?.returnUrl == null ? "" : `\n${portal.returnUrl}`;
  const text = encoder.encode(`${portal?.tenant ?? ""}${back}`);
  const bytes = new Uint8Array(SESSION_BYTES + (portal === undefined ? 0 : GRANT_BYTES + text.length));
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < HASH_BYTES; at++) bytes[at] = Number.parseInt(hash.slice(2 * at, 2 * at + 2), 16);
  view.setFloat64(HASH_BYTES, endsAtMs);
  if (portal === undefined) return bytes;
  view.setUint32(SESSION_BYTES, portal.sessionMs);
  view.setUint8(SESSION_BYTES + 4, portal.mayChange ? 1 : 0);
  bytes.set(text, SESSION_BYTES + GRANT_BYTES);
  return bytes;
}

function opened(sealer: Sealer, sealed: Uint8Array, purpose: Purpose): Session | null {
  try {
    const bytes = Uint8Array.from(sealer.open(sealed, purpose));
    const isPortal = purpose.startsWith("portal");
    assert(isPortal ? bytes.length > SESSION_BYTES + GRANT_BYTES : bytes.length === SESSION_BYTES, "as it was packed");
    const view = new DataView(bytes.buffer);
    const session = { hash: encodeHex(bytes.subarray(0, HASH_BYTES)), endsAtMs: view.getFloat64(HASH_BYTES) };
    if (!isPortal) return session;
    const [tenant = "", returnUrl = null] = decoder.decode(bytes.subarray(SESSION_BYTES + GRANT_BYTES)).split("\n");
    const portal = {
      tenant,
      returnUrl,
      mayChange: view.getUint8(SESSION_BYTES + 4) === 1,
      sessionMs: view.getUint32(SESSION_BYTES),
    };
    return { ...session, portal };
  } catch (error) {
    if (error instanceof SealBroken) return null;
    throw error;
  }
}

/** After `#`, which no server, log or referrer is told; the page's script hands it in and takes it out of the address. */
export function signInPath(sealer: Sealer, hash: string, nowMs: number): string {
  return `/dashboard#sign-in=${sealSession(sealer, { hash, endsAtMs: nowMs + LINK_MS }, "dashboard sign-in link")}`;
}

/** To a page of its own, which hands the link in whoever was here before: so nobody sees what an older link was for. */
export function portalPath(sealer: Sealer, link: Session): string {
  return `/portal/sign-in#sign-in=${sealSession(sealer, link, "portal link")}`;
}

/** What each form of the session carries: nobody knows it who cannot read the pages or the cookie. */
export function formToken(hasher: Hasher, cookie: string): string {
  return encodeHex(hasher.sha256(`dashboard form\n${cookie}`)).slice(0, 32);
}

export function isFormToken(hasher: Hasher, cookie: string, given: string): boolean {
  return hasher.isEqual(encoder.encode(formToken(hasher, cookie)), encoder.encode(given));
}
