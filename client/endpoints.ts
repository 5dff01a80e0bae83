/** Calls on endpoints. What makes something new is tried again only when it is certain that nothing was made. */
import type { CreatedEndpoint, Endpoint, EndpointAttempt, EndpointChanges } from "./endpoint-shapes.ts";
import type { EndpointStats, EndpointStatus, NewEndpoint, RotatedSecret, SentTest } from "./endpoint-shapes.ts";
import type { OutcomeFilter } from "./tail-shapes.ts";
import type { Connection } from "./request.ts";
import { request } from "./request.ts";
import type { CallOptions, Page, PageQuery, TimeQuery } from "./shapes.ts";

export interface EndpointQuery extends PageQuery {
  readonly status?: EndpointStatus | undefined;
}

export interface AttemptQuery extends PageQuery, TimeQuery {
  readonly event_id?: string | undefined;
  readonly outcome?: OutcomeFilter | undefined;
  /** `2xx` to `5xx`, or a fault such as `timeout`. */
  readonly result?: string | undefined;
}

export interface RotateOptions extends CallOptions {
  /** `whsec_...`; left out, one is made. */
  readonly secret?: string | undefined;
}

export interface Endpoints {
  readonly create: (endpoint: NewEndpoint, options?: CallOptions) => Promise<CreatedEndpoint>;
  readonly get: (id: string, options?: CallOptions) => Promise<Endpoint>;
  /** Oldest first. */
  readonly list: (query?: EndpointQuery, options?: CallOptions) => Promise<Page<Endpoint>>;
  readonly update: (id: string, changes: EndpointChanges, options?: CallOptions) => Promise<Endpoint>;
  readonly delete: (id: string, options?: CallOptions) => Promise<void>;
  readonly rotateSecret: (id: string, options?: RotateOptions) => Promise<RotatedSecret>;
  /** Sends one `posthaste.test` event to this endpoint alone. */
  readonly test: (id: string, options?: CallOptions) => Promise<SentTest>;
  /** Newest first. */
  readonly attempts: (id: string, query?: AttemptQuery, options?: CallOptions) => Promise<Page<EndpointAttempt>>;
  readonly stats: (id: string, options?: CallOptions) => Promise<EndpointStats>;
}

export function endpointCalls(connection: Connection): Endpoints {
  const get = { method: "GET", isRepeatable: true } as const;
  const post = { method: "POST", isRepeatable: false } as const;
  return {
    async create(endpoint, options) {
      const { body } = await request(connection, { ...options, ...post, path: ["endpoints"], body: endpoint });
      return body as CreatedEndpoint;
    },
    async get(id, options) {
      const { body } = await request(connection, { ...options, ...get, path: ["endpoints", id] });
      return body as Endpoint;
    },
    async list(query, options) {
      const { body } = await request(connection, { ...options, ...get, path: ["endpoints"], query });
      return body as Page<Endpoint>;
    },
    async update(id, changes, options) {
      const call = { method: "PATCH", isRepeatable: true, path: ["endpoints", id], body: changes } as const;
      const { body } = await request(connection, { ...options, ...call });
      return body as Endpoint;
    },
    async delete(id, options) {
      await request(connection, { ...options, method: "DELETE", isRepeatable: true, path: ["endpoints", id] });
    },
    async rotateSecret(id, { secret, ...options } = {}) {
      const call = { ...post, path: ["endpoints", id, "rotate-secret"], body: { secret } };
      const { body } = await request(connection, { ...options, ...call });
      return body as RotatedSecret;
    },
    async test(id, options) {
      const { body } = await request(connection, { ...options, ...post, path: ["endpoints", id, "test"] });
      return body as SentTest;
    },
    async attempts(id, query, options) {
      const call = { ...options, ...get, path: ["endpoints", id, "attempts"], query };
      return (await request(connection, call)).body as Page<EndpointAttempt>;
    },
    async stats(id, options) {
      const { body } = await request(connection, { ...options, ...get, path: ["endpoints", id, "stats"] });
      return body as EndpointStats;
    },
  };
}
