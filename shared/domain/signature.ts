/**
 * Signs and verifies messages: Standard Webhooks 1.0.0, "Signature scheme", symmetric form (`v1`, HMAC-SHA-256).
 * What is signed is `{id}.{timestamp}.{body}` over the very bytes that travel; nothing here serialises a body.
 */

import type { Entropy, Hasher } from "../lib/ambient.ts";
import { assert } from "../lib/assert.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";

/** Bounds of a key in bytes (Standard Webhooks 1.0.0, "Symmetric"); ours have `SECRET_BYTES`. */
const SECRET_BYTES_MIN = 24;
const SECRET_BYTES_MAX = 64;
export const SECRET_BYTES = 32;

/** Signatures of one header that are looked at; a longer list is refused before anything is hashed. */
export const SIGNATURES_MAX = 16;

/** How far the clocks of the two sides may differ, both ways; the published libraries use the same five minutes. */
export const TOLERANCE_S = 300;

const SECRET_PREFIX = "whsec_";
const SECRET_LENGTH_MAX = SECRET_PREFIX.length + 4 * Math.ceil(SECRET_BYTES_MAX / 3);
const VERSION_PREFIX = "v1,";
const TIMESTAMP = /^(?:0|[1-9][0-9]{0,11})$/;

export type ParsedSecret =
  | { readonly kind: "ok"; readonly key: Uint8Array }
  | { readonly kind: "invalid"; readonly reason: string };

export type Verification = { readonly kind: "verified" } | { readonly kind: "rejected"; readonly reason: string };

export interface MessageToSign {
  /** `webhook-id`; not empty and without a dot, for dots separate the signed parts. */
  readonly id: string;
  /** `webhook-timestamp`: Unix seconds of the attempt, not of the event. */
  readonly timestampS: number;
  readonly body: Uint8Array;
  /** One key for each secret in force; during a rotation the new one and the old. At least one. */
  readonly keys: readonly Uint8Array[];
  readonly hasher: Hasher;
}

export interface MessageToVerify {
  /** The field values as they came; null where the header is missing. */
  readonly id: string | null;
  readonly timestamp: string | null;
  readonly signature: string | null;
  /** The bytes as they came, before any parsing. */
  readonly body: Uint8Array;
  /** The receiver's keys; a signature by any one of them is enough. */
  readonly keys: readonly Uint8Array[];
  readonly hasher: Hasher;
  readonly nowS: number;
  readonly toleranceS: number;
}

/** Reads `whsec_` and canonical padded base64 of 24 to 64 bytes. The reason never repeats any of the secret. */
export function parseSecret(text: string): ParsedSecret {
  if (!text.startsWith(SECRET_PREFIX)) return invalid(`A secret starts with ${SECRET_PREFIX}.`);
  const range = `A secret holds ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes`;
  if (text.length > SECRET_LENGTH_MAX) return invalid(`${range}; this one is longer.`);
  const key = decodeBase64(text.slice(SECRET_PREFIX.length));
  if (key === null) {
    return invalid(`After ${SECRET_PREFIX} comes standard base64 with its padding and without any other character.`);
  }
  if (key.length < SECRET_BYTES_MIN || key.length > SECRET_BYTES_MAX) {
    return invalid(`${range}; this one holds ${key.length}.`);
  }
  return { kind: "ok", key };
}

/** A new secret of 32 random bytes in the form that `parseSecret` reads. */
export function newSecret(entropy: Entropy): string {
  return SECRET_PREFIX + encodeBase64(entropy.bytes(SECRET_BYTES));
}

/** The value of `webhook-signature`: one `v1,` signature for each key, in the keys' order, separated by spaces. */
export function signMessage(message: MessageToSign): string {
  const { id, timestampS, keys, hasher } = message;
  assert(id !== "" && !id.includes("."), "a message id is not empty and holds no dot");
  assert(Number.isSafeInteger(timestampS) && timestampS >= 0, "a message timestamp is in whole seconds");
  assert(keys.length > 0, "a message is signed with at least one key");
  const head = signedHead(id, String(timestampS));
  return keys.map((key) => VERSION_PREFIX + encodeBase64(hasher.hmacSha256(key, head, message.body))).join(" ");
}

/**
 * What a receiver does: headers present, timestamp within the tolerance, one of the `v1` signatures made by one of the keys.
 * Each signature is compared with each key's in constant time; entries of other versions, and `v1` entries that are not
 * base64, are passed over, since a sender may add schemes that we do not know.
 */
export function verifyMessage(message: MessageToVerify): Verification {
  const { id, timestamp, signature, hasher, toleranceS } = message;
  if (id === null || id === "") return rejected("The header webhook-id is missing.");
  if (timestamp === null || timestamp === "") return rejected("The header webhook-timestamp is missing.");
  if (signature === null || signature === "") return rejected("The header webhook-signature is missing.");
  if (!TIMESTAMP.test(timestamp)) return rejected("The header webhook-timestamp is not a time in whole Unix seconds.");
  const ageS = message.nowS - Number(timestamp);
  if (ageS > toleranceS) return rejected(`The header webhook-timestamp is more than ${toleranceS} s in the past.`);
  if (ageS < -toleranceS) return rejected(`The header webhook-timestamp is more than ${toleranceS} s in the future.`);
  const entries = signature.split(" ", SIGNATURES_MAX + 1);
  if (entries.length > SIGNATURES_MAX) {
    return rejected(`The header webhook-signature lists more than ${SIGNATURES_MAX} signatures.`);
  }
  const given = entries
    .filter((entry) => entry.startsWith(VERSION_PREFIX))
    .map((entry) => decodeBase64(entry.slice(VERSION_PREFIX.length)))
    .filter((bytes) => bytes !== null);
  if (given.length === 0) return rejected("The header webhook-signature holds no v1 signature.");
  const head = signedHead(id, timestamp);
  let isSigned = false;
  for (const key of message.keys) {
    const expected = hasher.hmacSha256(key, head, message.body);
    for (const bytes of given) isSigned = hasher.isEqual(bytes, expected) || isSigned;
  }
  return isSigned ? { kind: "verified" } : rejected("No signature of the message fits the secret.");
}

/** What is signed before the body. */
function signedHead(id: string, timestamp: string): string {
  return `${id}.${timestamp}.`;
}

function invalid(reason: string): ParsedSecret {
  return { kind: "invalid", reason };
}

function rejected(reason: string): Verification {
  return { kind: "rejected", reason };
}
