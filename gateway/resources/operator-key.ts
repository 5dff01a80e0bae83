/**
 * The operator's API key. The setting wins; without one the first start makes a key and shows it once. The store keeps
 * hashes only.
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { Clock, Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { ApiKeyStore } from "@posthaste/shared/ports/api-keys.ts";
import { hashApiKey, keyHint, keyStatus, newApiKeySecret, Scope } from "@posthaste/shared/domain/api-key.ts";
import { derivedId } from "@posthaste/shared/domain/id.ts";

export interface OperatorKeyDeps {
  readonly apiKeys: ApiKeyStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
}

const PAGE = 1000;

/** The key; null when the store already has a usable one, as only its hash is known. */
export async function ensureOperatorKey(
  deps: OperatorKeyDeps,
  /** `POSTHASTE_OPERATOR_KEY`, or null. */
  setting: string | null,
  /** Shows a key that exists nowhere else. */
  showOnce: (key: string) => void,
): Promise<string | null> {
  if (setting !== null) {
    await saveOperatorKey(deps, setting, "operator key of the settings");
    return setting;
  }
  const known = await operatorKeys(deps.apiKeys);
  if (known.some((key) => keyStatus(key, deps.clock.now()) === "usable")) return null;
  const key = newApiKeySecret(deps.entropy);
  // Shown first. A crash in between leaves a key that does not work and is replaced, never a working key that is lost.
  showOnce(key);
  await saveOperatorKey(deps, key, "first operator key");
  return key;
}

/** The id comes from the key itself, so the same key is one record however often it is saved. */
export async function saveOperatorKey(deps: OperatorKeyDeps, key: string, name: string): Promise<void> {
  const { apiKeys, hasher, clock } = deps;
  const known = await operatorKeys(apiKeys);
  const hash = hashApiKey(key, hasher);
  const nowMs = clock.now();
  await apiKeys.save({
    id: derivedId("key", 0, hasher, `operator ${hash}`),
    hash,
    hint: keyHint(key),
    name,
    tenant: null,
    scopes: Scope.options,
    rateLimit: null,
    createdAtMs: known.find((other) => other.hash === hash)?.createdAtMs ?? nowMs,
    expiresAtMs: null,
    revokedAtMs: null,
  });
  // A setting that was changed must not leave its old value working.
  for (const other of known) {
    if (other.name === name && other.hash !== hash && other.revokedAtMs === null) {
      await apiKeys.revoke(null, other.id, nowMs);
    }
  }
}

async function operatorKeys(apiKeys: ApiKeyStore): Promise<readonly ApiKey[]> {
  const found: ApiKey[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<ApiKeyStore["list"]>> = await apiKeys.list(null, PAGE, cursor);
    found.push(...page.rows.filter(({ tenant }) => tenant === null));
    cursor = page.next;
  } while (cursor !== null);
  return found;
}
