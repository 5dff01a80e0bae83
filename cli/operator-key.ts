/**
 * The operator's API key of an embedded Posthaste. The setting wins; `dev` keeps one in the data folder, so that it
 * stays the same over restarts; `serve` makes one on its first start and shows it once. The store has hashes only.
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import {
  hashApiKey,
  isPresentableKey,
  keyHint,
  keyStatus,
  newApiKeySecret,
  Scope,
} from "@posthaste/shared/domain/api-key.ts";
import { derivedId } from "@posthaste/shared/domain/id.ts";
import type { Clock, Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { KeyRing } from "@posthaste/shared/ports/key-ring.ts";
import { dataFile, keepPrivateFile } from "./private-file.ts";

export interface OperatorKeyOptions {
  readonly keyRing: KeyRing;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly folder: string;
  /** `POSTHASTE_OPERATOR_KEY`, or null. */
  readonly setting: string | null;
  readonly isDev: boolean;
  /** Shows a key that exists nowhere else. */
  readonly showOnce: (key: string) => void;
}

const OPERATOR_KEY_FILE = "operator.key";
const PAGE = 1000;

/** The key as far as it is known: null when `serve` finds a usable one in its store. */
export async function ensureOperatorKey(options: OperatorKeyOptions): Promise<string | null> {
  const { setting, isDev, folder, entropy, keyRing, clock } = options;
  const known = await operatorKeys(keyRing);
  if (setting !== null) {
    await save(options, setting, "operator key of the settings", known);
    return setting;
  }
  if (isDev) {
    const path = dataFile(folder, OPERATOR_KEY_FILE);
    const key = keepPrivateFile(path, String(process.pid), () => newApiKeySecret(entropy));
    if (!isPresentableKey(key)) throw new Error(`${path} does not hold an API key. Delete it, and a new one is made.`);
    await save(options, key, "operator key of dev", known);
    return key;
  }
  if (known.some((key) => keyStatus(key, clock.now()) === "usable")) return null;
  const key = newApiKeySecret(entropy);
  // Shown first: a crash in between leaves a key that does not work and is replaced, not one that nobody has seen.
  options.showOnce(key);
  await save(options, key, "first operator key", known);
  return key;
}

/** The id comes from the key itself, so the same key is one record however often it is saved. */
async function save(
  { keyRing, hasher, clock }: OperatorKeyOptions,
  key: string,
  name: string,
  known: readonly ApiKey[],
): Promise<void> {
  const hash = hashApiKey(key, hasher);
  const nowMs = clock.now();
  await keyRing.save({
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
      await keyRing.revoke(null, other.id, nowMs);
    }
  }
}

async function operatorKeys(keyRing: KeyRing): Promise<readonly ApiKey[]> {
  const found: ApiKey[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<KeyRing["list"]>> = await keyRing.list(null, PAGE, cursor);
    found.push(...page.rows.filter(({ tenant }) => tenant === null));
    cursor = page.next;
  } while (cursor !== null);
  return found;
}
