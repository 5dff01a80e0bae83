/** Calls on the catalogue of event types: one for all tenants, so that no tenant is named. Changing it takes an operator key. */
import type { EventType, NewEventType } from "./event-type-shapes.ts";
import type { Connection } from "./request.ts";
import { request } from "./request.ts";
import type { Page, PageQuery } from "./shapes.ts";

interface Options {
  readonly signal?: AbortSignal | undefined;
}

export interface EventTypes {
  /** By name. */
  readonly list: (query?: PageQuery, options?: Options) => Promise<Page<EventType>>;
  readonly get: (name: string, options?: Options) => Promise<EventType>;
  /** Creates it, or replaces it as a whole. */
  readonly put: (name: string, type: NewEventType, options?: Options) => Promise<EventType>;
  readonly delete: (name: string, options?: Options) => Promise<void>;
}

export function eventTypeCalls(connection: Connection): EventTypes {
  const call = async (
    method: "GET" | "PUT" | "DELETE",
    name: readonly string[],
    rest: { readonly query?: PageQuery | undefined; readonly body?: NewEventType },
    options: Options | undefined,
  ): Promise<unknown> => {
    const path = ["event-types", ...name];
    return (await request(connection, { ...options, ...rest, method, isRepeatable: true, path, tenant: null })).body;
  };
  return {
    list: async (query, options) => (await call("GET", [], { query }, options)) as Page<EventType>,
    get: async (name, options) => (await call("GET", [name], {}, options)) as EventType,
    put: async (name, body, options) => (await call("PUT", [name], { body }, options)) as EventType,
    delete: async (name, options) => void (await call("DELETE", [name], {}, options)),
  };
}
