/**
 * How many endpoints there are of each status, for metrics: counted page by page, so that thousands of them cost their store
 * little at a time. What it tells is a minute and more old.
 */
import { ENDPOINT_STATUSES } from "../domain/endpoint.ts";
import type { EndpointStatus } from "../domain/endpoint.ts";
import type { Clock } from "../lib/ambient.ts";
import { lookRepeatedly } from "../lib/look-repeatedly.ts";
import type { Directory } from "../ports/directory.ts";

/** Endpoints of one page, and the wait for the next one. */
const PAGE_MAX = 200;
const PAGE_MS = 1000;
/** From the end of a count, or a failure, to the next one. */
const COUNT_MS = 60_000;

type Census = Record<EndpointStatus, number>;

export interface EndpointCensus extends Disposable {
  /** Null until all were counted once. */
  latest(): Readonly<Census> | null;
}

export function takeEndpointCensus(options: {
  readonly directory: Pick<Directory, "list">;
  readonly clock: Pick<Clock, "timer">;
}): EndpointCensus {
  const { directory, clock } = options;
  let latest: Census | null = null;
  let counting = none();
  let cursor: string | null = null;

  async function count(): Promise<number> {
    const { rows, next } = await directory.list({ tenant: null }, PAGE_MAX, cursor);
    for (const { status } of rows) counting[status] += 1;
    cursor = next;
    if (next !== null) return PAGE_MS;
    latest = counting;
    counting = none();
    return COUNT_MS;
  }

  const goOn = (): Promise<number> =>
    count().catch(() => {
      cursor = null;
      counting = none();
      return COUNT_MS;
    });
  const looking = lookRepeatedly(clock, 0, goOn);
  return {
    latest: () => latest,
    [Symbol.dispose]: () => looking[Symbol.dispose](),
  };
}

function none(): Census {
  return Object.fromEntries(ENDPOINT_STATUSES.map((status) => [status, 0])) as Census;
}
