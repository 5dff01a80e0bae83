/** Calls on events. */
import type { BatchResult, Cancelled, EventState, EventStatus, ListedEvent, NewEvent } from "./event-shapes.ts";
import type { EventText, Published, Resent, Why } from "./event-shapes.ts";
import type { Connection } from "./request.ts";
import { request } from "./request.ts";
import type { CallOptions, KeyedCallOptions, Page, PageQuery, TimeQuery } from "./shapes.ts";

export interface PublishOptions extends KeyedCallOptions {
  /** W3C Trace Context; receivers get it. */
  readonly traceparent?: string | undefined;
  /** Goes with it. */
  readonly tracestate?: string | undefined;
}

/** By acceptance. */
export interface EventQuery extends PageQuery, TimeQuery {
  readonly type?: string | undefined;
  readonly state?: EventState | undefined;
  readonly endpoint_id?: string | undefined;
}

export interface ShowOptions extends CallOptions {
  readonly include?: readonly ("data" | "filtered")[] | undefined;
}

export interface ResendOptions extends KeyedCallOptions {
  /** To this one alone; otherwise to all that subscribe to its type now. */
  readonly endpoint_id?: string | undefined;
}

/** Also whether an earlier request under the same key had this answer. */
export type PublishAnswer = Published & { readonly isReplayed: boolean };

export interface BatchAnswer {
  /** One for each event, in order. */
  readonly results: readonly BatchResult[];
  readonly isReplayed: boolean;
}

export interface Events {
  /** Newest first. */
  readonly list: (query?: EventQuery, options?: CallOptions) => Promise<Page<ListedEvent>>;
  readonly get: (id: string, options?: ShowOptions) => Promise<EventStatus>;
  /** The answer of `get` as JSON text: `data` is the very text that was published. */
  readonly getText: (id: string, options?: ShowOptions) => Promise<string>;
  readonly why: (id: string, endpointId: string, options?: CallOptions) => Promise<Why>;
  readonly resend: (id: string, options?: ResendOptions) => Promise<Resent>;
  readonly cancel: (id: string, options?: CallOptions) => Promise<Cancelled>;
}

export async function publish(
  connection: Connection,
  event: NewEvent | EventText,
  options: PublishOptions = {},
): Promise<PublishAnswer> {
  const idempotencyKey = options.idempotencyKey ?? connection.newIdempotencyKey();
  const call = { method: "POST", path: ["events"], isRepeatable: true, isAnswer: isPublished } as const;
  const { body, isReplayed } = await request(connection, {
    ...options,
    ...call,
    bodyText: jsonOf(event),
    idempotencyKey,
  });
  return { ...(body as Published), isReplayed };
}

/**
 * Resolves also when events of it are refused: each has its own result. Those that a store did not take (503) are sent again
 * with the rest, under the same key, until tries or time are used up.
 */
export async function publishBatch(
  connection: Connection,
  events: readonly (NewEvent | EventText)[],
  options: PublishOptions = {},
): Promise<BatchAnswer> {
  const { body, isReplayed } = await request(connection, {
    ...options,
    method: "POST",
    path: ["events", "batch"],
    bodyText: `{"events":[${events.map(jsonOf).join(",")}]}`,
    isRepeatable: true,
    isAnswer: (part) => resultsIn(part)?.length === events.length,
    isIncomplete: (part) => resultsIn(part)?.some(({ status }) => status === 503) === true,
    idempotencyKey: options.idempotencyKey ?? connection.newIdempotencyKey(),
  });
  return { results: resultsIn(body) ?? [], isReplayed };
}

export function eventCalls(connection: Connection): Events {
  const get = { method: "GET", isRepeatable: true } as const;
  const post = { method: "POST", isRepeatable: true } as const;
  const show = (id: string, { include, ...options }: ShowOptions = {}) =>
    request(connection, { ...options, ...get, path: ["events", id], query: { include: listed(include) } });
  return {
    async list(query, options) {
      const { body } = await request(connection, { ...options, ...get, path: ["events"], query });
      return body as Page<ListedEvent>;
    },
    async get(id, options) {
      return (await show(id, options)).body as EventStatus;
    },
    async getText(id, options) {
      return (await show(id, options)).text;
    },
    async why(id, endpoint, options) {
      const { body } = await request(connection, {
        ...options,
        ...get,
        path: ["events", id, "why"],
        query: { endpoint },
      });
      return body as Why;
    },
    async resend(id, { endpoint_id, idempotencyKey = connection.newIdempotencyKey(), ...options } = {}) {
      const call = { ...post, path: ["events", id, "resend"], body: { endpoint_id }, idempotencyKey };
      const { body } = await request(connection, { ...options, ...call });
      return body as Resent;
    },
    async cancel(id, options) {
      const { body } = await request(connection, { ...options, ...post, path: ["events", id, "cancel"] });
      return body as Cancelled;
    },
  };
}

/** The API takes no empty list. */
function listed(names: readonly string[] = []): string | undefined {
  return names.length === 0 ? undefined : names.join(",");
}

function jsonOf(event: NewEvent | EventText): string {
  return "json" in event ? event.json : JSON.stringify(event);
}

/** What a proxy answers in the place of the gateway is no promise that the event is durable. */
function isPublished(body: unknown): boolean {
  return typeof body === "object" && body !== null && "id" in body && typeof body.id === "string";
}

function resultsIn(body: unknown): readonly BatchResult[] | undefined {
  if (typeof body !== "object" || body === null || !("data" in body) || !Array.isArray(body.data)) return undefined;
  return body.data as readonly BatchResult[];
}
