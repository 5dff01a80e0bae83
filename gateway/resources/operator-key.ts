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
const FIRST_NAME = "first operator key";
const SETTING_NAME = "operator key of the settings";
/** A setting that was changed: its old value no longer works, and works again when it returns. */
const REPLACED_NAME = "operator key of earlier settings";

/** The key; null when the store already has a usable one, as only its hash is known. */
export async function ensureOperatorKey(
  deps: OperatorKeyDeps,
  /** `POSTHASTE_OPERATOR_KEY`, or null. */
  setting: string | null,
  /** Shows a key that exists nowhere else. */
  showOnce: (key: string) => void,
): Promise<string | null> {
  if (setting !== null) {
    await saveOperatorKey(deps, setting, SETTING_NAME);
    return setting;
  }
  const known = await operatorKeys(deps.apiKeys);
  if (known.some((key) => keyStatus(key, deps.clock.now()) === "usable")) return null;
  const key = newApiKeySecret(deps.entropy);
  // Shown first. A crash in between leaves a key that does not work and is replaced, never a working key that is lost.
  showOnce(key);
  await saveOperatorKey(deps, key, FIRST_NAME);
  return key;
}

/**
 * The id comes from the key itself, so the same key is one record however often it is saved. Throws a plain Error for a
 * key that was revoked through the API: who revoked it does not want it back at the next start.
 */
export async function saveOperatorKey(deps: OperatorKeyDeps, key: string, name: string): Promise<void> {
  const { apiKeys, hasher, clock } = deps;
  const known = await operatorKeys(apiKeys);
  const hash = hashApiKey(key, hasher);
  const nowMs = clock.now();
  const same = known.find((other) => other.hash === hash);
  if (same !== undefined && same.revokedAtMs !== null && same.name !== REPLACED_NAME) {
    throw new Error("POSTHASTE_OPERATOR_KEY is a key that was revoked through the API. Set another one, or none.");
  }
  await apiKeys.save({
    id: derivedId("key", 0, hasher, `operator ${hash}`),
    hash,
    hint: keyHint(key),
    name,
    tenant: null,
    scopes: Scope.options,
    rateLimit: null,
    createdAtMs: same?.createdAtMs ?? nowMs,
    expiresAtMs: null,
    revokedAtMs: null,
  });
  // A key that was shown once by another gateway, started at the same moment, is nobody's old setting.
  if (name === FIRST_NAME) return;
  for (const other of known) {
    if (other.name !== name || other.hash === hash || other.revokedAtMs !== null) continue;
    await apiKeys.revoke(null, other.id, nowMs);
    await apiKeys.save({ ...other, name: REPLACED_NAME, revokedAtMs: nowMs });
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
