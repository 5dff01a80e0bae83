/** Calls on API keys. A key is shown when it is made and never again, so making one is not tried again in doubt. */
import type { ApiKey, CreatedApiKey, NewApiKey } from "./api-key-shapes.ts";
import type { Connection } from "./request.ts";
import { request } from "./request.ts";
import type { CallOptions, Page, PageQuery } from "./shapes.ts";

export interface ApiKeys {
  readonly create: (key: NewApiKey, options?: CallOptions) => Promise<CreatedApiKey>;
  /** Revoked ones too; operator keys under the tenant `*` alone. */
  readonly list: (query?: PageQuery, options?: CallOptions) => Promise<Page<ApiKey>>;
  /** Ends it within a second, everywhere. */
  readonly revoke: (id: string, options?: CallOptions) => Promise<void>;
}

export function apiKeyCalls(connection: Connection): ApiKeys {
  const path = ["api-keys"];
  return {
    async create(key, options) {
      const call = { ...options, method: "POST", isRepeatable: false, path, body: key } as const;
      return (await request(connection, call)).body as CreatedApiKey;
    },
    async list(query, options) {
      const call = { ...options, method: "GET", isRepeatable: true, path, query } as const;
      return (await request(connection, call)).body as Page<ApiKey>;
    },
    async revoke(id, options) {
      await request(connection, { ...options, method: "DELETE", isRepeatable: true, path: [...path, id] });
    },
  };
}
