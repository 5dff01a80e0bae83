/** API keys as the API shows them: never the key itself, never its hash. */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { keyStatus, OPERATOR_TENANT } from "@posthaste/shared/domain/api-key.ts";
import { instantText } from "./present.ts";

export function apiKeyView(key: ApiKey, nowMs: number): object {
  const { rateLimit } = key;
  return {
    id: key.id,
    name: key.name,
    tenant: key.tenant ?? OPERATOR_TENANT,
    hint: key.hint,
    scopes: key.scopes,
    rate_limit: rateLimit === null ? null : { limit: rateLimit.limit, window_ms: rateLimit.windowMs },
    status: keyStatus(key, nowMs),
    created_at: instantText(key.createdAtMs),
    expires_at: instantText(key.expiresAtMs),
    revoked_at: instantText(key.revokedAtMs),
  };
}
