/**
 * API keys by hash. A revocation is effective within 1 s on every gateway that can ask its store; one that cannot goes on
 * with the keys it knows, for at most 10 minutes. Keys that were never seen are not cached as absent for longer than 1 s.
 * A store that fails over to an older state is given back what the process knows, within a minute of being there again.
 */
import type { ApiKey } from "../domain/api-key.ts";
import type { Page } from "./dead-letters.ts";

export interface ApiKeyStore {
  /** By lower-case hex SHA-256, from a cache where that may be. Expiry and revocation are the caller's to judge. */
  find(hash: string): Promise<ApiKey | null>;
  /**
   * Durable when it resolves; the same hash again replaces the record. Throws `limit-reached` when the tenant has as many
   * usable keys as may be; one that was revoked or has expired is none. Ended keys are kept up to a bound, then forgotten.
   */
  save(key: ApiKey): Promise<void>;
  /** `tenant` null: all keys. Newest first; ended ones included. */
  list(tenant: string | null, limit: number, cursor: string | null): Promise<Page<ApiKey>>;
  /** `tenant` null: any tenant's key. The revoked key, or null when there is none; revoking twice keeps the first time. */
  revoke(tenant: string | null, keyId: string, atMs: number): Promise<ApiKey | null>;
}
