/** The client: its options checked once, its calls by resource. */
import type { ApiKeys } from "./api-keys.ts";
import { apiKeyCalls } from "./api-keys.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { deadLetterCalls } from "./dead-letters.ts";
import type { Endpoints } from "./endpoints.ts";
import { endpointCalls } from "./endpoints.ts";
import type { BatchAnswer, Events, PublishAnswer, PublishOptions } from "./events.ts";
import { eventCalls, publish, publishBatch } from "./events.ts";
import type { EventTypes } from "./event-types.ts";
import { eventTypeCalls } from "./event-types.ts";
import type { EventText, NewEvent } from "./event-shapes.ts";
import type { CallOptions, Page } from "./shapes.ts";
import { runtimeSurroundings } from "./surroundings.ts";
import type { Surroundings } from "./surroundings.ts";
import { tail } from "./tail.ts";
import type { TailEntry, TailFilter } from "./tail-shapes.ts";

export interface ClientOptions extends Partial<Surroundings> {
  /** Where the gateway listens, such as `https://hooks.example.com`; a path in it is kept. */
  readonly url: string;
  /** `phk_...` */
  readonly apiKey: string;
  /** For operator keys: the tenant that calls act for unless they name another. */
  readonly tenant?: string | undefined;
  /** Requests for one call at most, the first included: 1 to 20, 5 by default. */
  readonly triesMax?: number | undefined;
  /** For one try with its answer: 100 to 600,000 ms, 15,000 by default. The gateway answers within 10 s. */
  readonly tryMs?: number | undefined;
  /** For all tries of one call and the waits between them: 100 to 3,600,000 ms, 60,000 by default. */
  readonly totalMs?: number | undefined;
}

export interface Client {
  /** Resolves when the event is durable. */
  readonly publish: (event: NewEvent | EventText, options?: PublishOptions) => Promise<PublishAnswer>;
  /** Up to 1,000 events, 4 MiB; one result for each. */
  readonly publishBatch: (events: readonly (NewEvent | EventText)[], options?: PublishOptions) => Promise<BatchAnswer>;
  readonly events: Events;
  readonly eventTypes: EventTypes;
  readonly endpoints: Endpoints;
  readonly deadLetters: DeadLetters;
  readonly apiKeys: ApiKeys;
  /** One connection to the live tail, until it ends, breaks or is left. */
  readonly tail: (filter?: TailFilter, options?: CallOptions) => AsyncGenerator<TailEntry, void, undefined>;
}

/** Throws a `TypeError` that names the option which is wrong. Holds no connection and no state between calls. */
export function createClient(options: ClientOptions): Client {
  const { url, apiKey, tenant = null } = options;
  const { protocol, origin, pathname, href } = URL.canParse(url) ? new URL(url) : new URL("none:");
  if (!/^https?:$/.test(protocol) || href !== origin + pathname) {
    throw new TypeError(
      "url must be such as https://hooks.example.com: http or https, without user, query and fragment",
    );
  }
  if (!/^[!-~]+$/.test(apiKey)) throw new TypeError("apiKey must be a key such as phk_...: visible ASCII characters");
  const connection = {
    url: href.replace(/\/+$/, ""),
    apiKey,
    tenant,
    triesMax: between("triesMax", options.triesMax ?? 5, 1, 20),
    tryMs: between("tryMs", options.tryMs ?? 15_000, 100, 600_000),
    totalMs: between("totalMs", options.totalMs ?? 60_000, 100, 3_600_000),
    fetch: options.fetch ?? runtimeSurroundings.fetch,
    clock: options.clock ?? runtimeSurroundings.clock,
    random: options.random ?? runtimeSurroundings.random,
    newIdempotencyKey: options.newIdempotencyKey ?? runtimeSurroundings.newIdempotencyKey,
  };
  return {
    publish: (event, callOptions) => publish(connection, event, callOptions),
    publishBatch: (events, callOptions) => publishBatch(connection, events, callOptions),
    events: eventCalls(connection),
    eventTypes: eventTypeCalls(connection),
    endpoints: endpointCalls(connection),
    deadLetters: deadLetterCalls(connection),
    apiKeys: apiKeyCalls(connection),
    tail: (filter, callOptions) => tail(connection, filter, callOptions),
  };
}

/** All rows of a list, page by page: `for await (const event of rowsOf((cursor) => client.events.list({ cursor })))`. */
export async function* rowsOf<Row>(
  listPage: (cursor: string | undefined) => Promise<Page<Row>>,
): AsyncGenerator<Row, void, undefined> {
  let cursor: string | undefined;
  do {
    const page = await listPage(cursor);
    yield* page.data;
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
}

function between(name: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw new TypeError(`${name} must be a number from ${least} to ${most}`);
}
