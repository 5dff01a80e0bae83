/**
 * Finds the caller: the API key of `Authorization: Bearer` or `x-api-key`, looked up by its hash. Refusals (401, 403) are
 * never charged to a rate limit, so an attacker cannot use up the limit of a key.
 */
import type { ApiKey, KeyStatus, Scope } from "@posthaste/shared/domain/api-key.ts";
import { hashApiKey, isPresentableKey, keyStatus } from "@posthaste/shared/domain/api-key.ts";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { InboundHeaders, InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";
import type { GatewayDeps } from "./deps.ts";

export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** The refusal for each state of a known key; null: the key is accepted. */
const refusalByStatus = {
  usable: null,
  revoked: { code: "key-revoked", detail: "This API key was revoked; use another one." },
  expired: { code: "key-expired", detail: "This API key has expired; create a new one." },
} as const satisfies Record<KeyStatus, Refusal | null>;

type Deps = Pick<GatewayDeps, "clock" | "hasher"> & {
  readonly drivers: Pick<GatewayDeps["drivers"], "apiKeys">;
};

/** The caller's key. Throws 401. */
export async function authenticate(request: InboundRequest, deps: Deps): Promise<ApiKey> {
  const key = presentedKey(request.headers);
  if (!isPresentableKey(key)) return admit(null, deps);
  return admit(await deps.drivers.apiKeys.find(hashApiKey(key, deps.hasher)), deps);
}

/** Throws 403 `missing-scope`. */
export function requireScope(caller: ApiKey, scope: Scope): void {
  if (caller.scopes.includes(scope)) return;
  throw new PosthasteError("missing-scope", `This API key lacks the scope ${scope}.`);
}

/** Why the key, as it is found now, is no longer accepted; null when it is. */
export function refusalOf(record: ApiKey | null, nowMs: number): Refusal | null {
  return record === null ? UNKNOWN : refusalByStatus[keyStatus(record, nowMs)];
}

function admit(record: ApiKey | null, deps: Deps): ApiKey {
  const refusal = refusalOf(record, deps.clock.now());
  if (record !== null && refusal === null) return record;
  const { code, detail } = refusal ?? UNKNOWN;
  throw new PosthasteError(code, detail);
}

/** RFC 6750 section 2.1; the scheme's name is case-insensitive (RFC 9110 section 11.1). */
function presentedKey(headers: InboundHeaders): string {
  const authorization = headers.get("authorization");
  const apiKey = headers.get("x-api-key");
  if (authorization === null) {
    if (apiKey !== null) return apiKey;
    throw new PosthasteError("unauthenticated", "Send an API key as Authorization: Bearer <key>, or as x-api-key.");
  }
  const space = authorization.indexOf(" ");
  if (space === -1 || authorization.slice(0, space).toLowerCase() !== "bearer") {
    throw new PosthasteError("unauthenticated", "The Authorization scheme is Bearer: Authorization: Bearer <key>.");
  }
  const bearer = authorization.slice(space + 1).trim();
  if (apiKey === null || apiKey === bearer) return bearer;
  throw new PosthasteError("unauthenticated", "Authorization and x-api-key name different keys; send one of them.");
}

const UNKNOWN: Refusal = { code: "unauthenticated", detail: "This API key is not known." };
