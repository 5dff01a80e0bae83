/**
 * API keys: 200 random bits behind a visible prefix, shown once, stored as SHA-256 only (a slow hash adds nothing to
 * a high-entropy key and is paid on every request; OWASP REST Security cheat sheet for the rest).
 */
import * as v from "valibot";
import { boundedList } from "./bounded-list.ts";
import type { Entropy, Hasher } from "../lib/ambient.ts";
import { encodeBase32 } from "./base32.ts";
import { Instant, TenantName } from "./event.ts";
import { freeText } from "./free-text.ts";
import { encodeHex } from "./hex.ts";
import { TimeMs } from "./id.ts";
import type { KeyRateLimit } from "./key-rate-limit.ts";
import { FailureMode, KeyRateLimitSetting, LimitPolicy } from "./key-rate-limit.ts";

export const Scope = v.picklist(["publish", "manage", "read"], "must be publish, manage or read");
export type Scope = v.InferOutput<typeof Scope>;

export const DEFAULT_TENANT = "default";

export const TENANT_KEY_RATE_LIMIT: KeyRateLimit = { limit: 1000, windowMs: 1000, failureMode: "local" };

/** Usable keys of one tenant; and as many that have ended, revoked or expired, of which the longest ended fall. */
export const API_KEYS_PER_TENANT_MAX = 1000;
/** Ended keys of all tenants (on Redis: in each shard), so that tenants that are gone leave no trail. Not the operators'. */
export const API_KEYS_ENDED_MAX = 10_000;

export interface ApiKey {
  readonly id: string;
  /** Lower-case hex SHA-256 of the key. */
  readonly hash: string;
  /** First characters, to recognise it by in a list. */
  readonly hint: string;
  readonly name: string;
  /** Null: an operator key, which acts for any tenant. */
  readonly tenant: string | null;
  readonly scopes: readonly Scope[];
  /** Null: no limit (operator keys). */
  readonly rateLimit: KeyRateLimit | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
}

/** A key as stores keep it, but for its revocation. A record may have been written by anyone. */
export const ApiKeyRecord = v.object({
  id: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,80}$/)),
  hash: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,100}$/)),
  hint: v.string(),
  name: v.string(),
  tenant: v.nullable(TenantName),
  scopes: v.array(Scope),
  rateLimit: v.nullable(
    v.object({
      limit: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
      windowMs: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
      // Records of earlier releases have none.
      failureMode: v.optional(FailureMode, "local"),
      policy: v.exactOptional(LimitPolicy),
    }),
  ),
  createdAtMs: TimeMs,
  expiresAtMs: v.nullable(TimeMs),
});

export const NewApiKey = v.strictObject({
  name: v.pipe(freeText(100), v.minLength(1, "must not be empty")),
  tenant: v.optional(TenantName),
  scopes: v.optional(
    boundedList(Scope, {
      max: 16,
      what: "scopes",
      kind: "a list of publish, manage, read",
      none: "must name at least one scope",
      words: "What the key may do. Never more than the key that makes it.",
    }),
    ["publish", "manage", "read"],
  ),
  rate_limit: v.pipe(
    v.optional(KeyRateLimitSetting),
    v.description("By default, and at the most, that of the key that makes it."),
  ),
  expires_at: v.pipe(
    v.optional(Instant),
    v.description("By default, and at the latest, that of the key that makes it."),
  ),
});
export type NewApiKey = v.InferOutput<typeof NewApiKey>;

/** What a presented key may look like at all; anything else is refused before it is hashed. */
const presentable = /^[A-Za-z0-9_-]{24,128}$/;

export function isPresentableKey(text: string): boolean {
  return presentable.test(text);
}

/** `phk_` + 40 characters of base32. */
export function newApiKeySecret(entropy: Entropy): string {
  return `phk_${encodeBase32(entropy.bytes(25))}`;
}

export function hashApiKey(key: string, hasher: Hasher): string {
  return encodeHex(hasher.sha256(key));
}

export function keyHint(key: string): string {
  return `${key.slice(0, 8)}…`;
}

/** When the key ends or ended, by revocation or by its own date; null when it has no end yet. */
export function keyEndsAtMs({ revokedAtMs, expiresAtMs }: Pick<ApiKey, "revokedAtMs" | "expiresAtMs">): number | null {
  if (revokedAtMs === null || expiresAtMs === null) return revokedAtMs ?? expiresAtMs;
  return Math.min(revokedAtMs, expiresAtMs);
}

export type KeyStatus = "usable" | "revoked" | "expired";

export function keyStatus(key: ApiKey, nowMs: number): KeyStatus {
  if (key.revokedAtMs !== null) return "revoked";
  return key.expiresAtMs !== null && key.expiresAtMs <= nowMs ? "expired" : "usable";
}
