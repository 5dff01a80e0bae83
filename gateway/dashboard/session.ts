/**
 * Who is signed in. A session is the hash of an API key and an end, sealed with the master key: it lies in the caller's cookie
 * alone, any gateway of the deployment opens it, and each request looks its key up anew, so that it ends with the key.
 */
import { decodeBase64, encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import type { Hasher, Sealer } from "@posthaste/shared/lib/ambient.ts";
import { SealBroken } from "@posthaste/shared/lib/ambient.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { InboundHeaders } from "@posthaste/shared/ports/inbound-request.ts";

export const SESSION_MS = 12 * 3600 * 1000;
/** A link that signs in works so long, and once in each gateway process. */
export const LINK_MS = 3600 * 1000;

/** What is sealed for one purpose does not open for the other. */
type Purpose = "dashboard session" | "dashboard sign-in link";

export interface Session {
  /** Of the API key, as `ApiKeyStore.find` takes it. */
  readonly hash: string;
  readonly endsAtMs: number;
}

const HASH_BYTES = 32;
/** The hash, and the end as a double. */
const SESSION_BYTES = HASH_BYTES + 8;
/** More than what is sealed here comes to. */
const SEALED_LENGTH_MAX = 128;

const encoder = new TextEncoder();

export function sealSession(sealer: Sealer, session: Session, purpose: Purpose): string {
  const sealed = encodeBase64(sealer.seal(packed(session), purpose));
  return sealed.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Null for what is not ours, what is altered, and what has ended. */
export function openSession(sealer: Sealer, text: string, purpose: Purpose, nowMs: number): Session | null {
  if (text.length > SEALED_LENGTH_MAX) return null;
  const padded = text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4);
  const sealed = decodeBase64(padded);
  const session = sealed === null ? null : opened(sealer, sealed, purpose);
  return session !== null && session.endsAtMs > nowMs ? session : null;
}

function packed({ hash, endsAtMs }: Session): Uint8Array {
  assert(/^[0-9a-f]{64}$/.test(hash), "the hash of an API key is SHA-256 in hex");
  const bytes = new Uint8Array(SESSION_BYTES);
  for (let at = 0; at < HASH_BYTES; at++) bytes[at] = Number.parseInt(hash.slice(2 * at, 2 * at + 2), 16);
  new DataView(bytes.buffer).setFloat64(HASH_BYTES, endsAtMs);
  return bytes;
}

function opened(sealer: Sealer, sealed: Uint8Array, purpose: Purpose): Session | null {
  try {
    const bytes = Uint8Array.from(sealer.open(sealed, purpose));
    assert(bytes.length === SESSION_BYTES, "a session is as long as it was packed");
    return {
      hash: encodeHex(bytes.subarray(0, HASH_BYTES)),
      endsAtMs: new DataView(bytes.buffer).getFloat64(HASH_BYTES),
    };
  } catch (error) {
    if (error instanceof SealBroken) return null;
    throw error;
  }
}

/** After `#`, which no server, log or referrer is told; the page's script hands it in and takes it out of the address. */
export function signInPath(sealer: Sealer, hash: string, nowMs: number): string {
  return `/dashboard#sign-in=${sealSession(sealer, { hash, endsAtMs: nowMs + LINK_MS }, "dashboard sign-in link")}`;
}

/** What each form of the session carries: nobody knows it who cannot read the pages or the cookie. */
export function formToken(hasher: Hasher, cookie: string): string {
  return encodeHex(hasher.sha256(`dashboard form\n${cookie}`)).slice(0, 32);
}

export function isFormToken(hasher: Hasher, cookie: string, given: string): boolean {
  return hasher.isEqual(encoder.encode(formToken(hasher, cookie)), encoder.encode(given));
}

/** The prefix is kept for cookies of https (RFC 6265bis section 4.1.3.2). */
const COOKIE = "posthaste-session";
const SECURE_COOKIE = `__Host-${COOKIE}`;

/** The sealed session of a request; null when it has none. */
export function cookieOf(headers: Pick<InboundHeaders, "get">): string | null {
  const pairs = (headers.get("cookie") ?? "").split(/[;,]/).map((pair) => pair.trim());
  for (const name of [SECURE_COOKIE, COOKIE]) {
    const found = pairs.find((pair) => pair.startsWith(`${name}=`));
    if (found !== undefined) return found.slice(name.length + 1);
  }
  return null;
}

export function cookieField(value: string, isSecure: boolean): string {
  return field(value, isSecure, SESSION_MS / 1000);
}

export function endedCookieField(isSecure: boolean): string {
  return field("", isSecure, 0);
}

function field(value: string, isSecure: boolean, maxAgeS: number): string {
  const common = `Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict`;
  return isSecure ? `${SECURE_COOKIE}=${value}; ${common}; Secure` : `${COOKIE}=${value}; ${common}`;
}
