/** Changes of API keys, made in the order in which they were asked for. */
import type { ApiKeyStore } from "../../ports/api-keys.ts";

/** A change of a key is several steps: those of one process are made one after another, in the order of the calls. */
export function inOrder(apiKeys: ApiKeyStore): ApiKeyStore {
  let last: Promise<unknown> = Promise.resolve();
  const next = <Result>(change: () => Promise<Result>): Promise<Result> => {
    const changed = last.then(change);
    last = changed.catch(() => undefined);
    return changed;
  };
  return {
    ...apiKeys,
    save: (key) => next(() => apiKeys.save(key)),
    revoke: (tenant, keyId, atMs) => next(() => apiKeys.revoke(tenant, keyId, atMs)),
  };
}
