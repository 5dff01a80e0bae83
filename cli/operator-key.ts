/**
 * The operator's API key of an embedded Posthaste. `dev` keeps one in the data folder, so that it stays the same over
 * restarts; `serve` does as the gateway always does.
 */
import { isPresentableKey, newApiKeySecret } from "@posthaste/shared/domain/api-key.ts";
import type { OperatorKeyDeps } from "@posthaste/gateway/resources/operator-key.ts";
import { ensureOperatorKey, saveOperatorKey } from "@posthaste/gateway/resources/operator-key.ts";
import { dataFile, keepPrivateFile } from "./private-file.ts";

export const OPERATOR_KEY_FILE = "operator.key";

export interface EmbeddedKeyOptions extends OperatorKeyDeps {
  readonly folder: string;
  /** `POSTHASTE_OPERATOR_KEY`, or null. */
  readonly setting: string | null;
  readonly isDev: boolean;
  /** Shows a key that exists nowhere else. */
  readonly showOnce: (key: string) => void;
}

/** The key as far as it is known: null when `serve` finds a usable one in its store. */
export async function ensureEmbeddedKey(options: EmbeddedKeyOptions): Promise<string | null> {
  const { setting, isDev, folder, entropy } = options;
  if (setting !== null || !isDev) return ensureOperatorKey(options, setting, options.showOnce);
  const path = dataFile(folder, OPERATOR_KEY_FILE);
  const key = keepPrivateFile(path, String(process.pid), () => newApiKeySecret(entropy));
  if (!isPresentableKey(key)) throw new Error(`${path} does not hold an API key. Delete it, and a new one is made.`);
  await saveOperatorKey(options, key, "operator key of dev");
  return key;
}
