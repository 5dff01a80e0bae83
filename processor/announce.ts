/**
 * Publishes our own events (`own-event.ts`) into the lanes, as a gateway would, for tenants of which somebody takes them. Two processes
 * may come to one end, as where one died over it: what the ledger shows as told is not told again in other words, under
 * the same id.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { OwnEvent } from "@posthaste/shared/domain/own-event.ts";
import type { Clock, Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Directory, TenantEndpoints } from "@posthaste/shared/ports/directory.ts";
import type { Lanes } from "@posthaste/shared/ports/lanes.ts";
import type { Ledger } from "@posthaste/shared/ports/ledger.ts";
import type { EndpointTelemetry } from "@posthaste/shared/telemetry/endpoint.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { PosthasteError, storeFault } from "@posthaste/shared/domain/errors.ts";
import { ownEnvelope } from "@posthaste/shared/domain/own-event.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import { retry } from "@posthaste/shared/lib/retry.ts";

/**
 * The events are of one tenant. True: durable, or nobody takes them. False: lost, after `TRIES_MAX` tries or at once where
 * the lane is full or the tenant's endpoints cannot be read: who announces holds a place that the lane needs to become
 * empty, and has an outcome to record, which a death meanwhile makes a repeat. Never rejects.
 */
export type Announce = (events: readonly OwnEvent[]) => Promise<boolean>;

/** About three seconds. */
const TRIES_MAX = 5;
/** For the tenant's endpoints, where memory does not have them, and for what was told before. */
const READ_MS = 1000;
const BACKOFF = { firstMs: 100, maxMs: 2000 } as const;

export interface AnnounceDeps {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly directory: Pick<Directory, "peek" | "endpoints">;
  readonly lanes: Pick<Lanes, "append">;
  readonly ledger: Pick<Ledger, "event" | "deliveries">;
  readonly telemetry: { readonly endpoint: Pick<EndpointTelemetry, "announced" | "announcementLost"> };
  /** Aborted at the end of a stop. */
  readonly signal: AbortSignal;
  readonly onFailure: (what: string, error: unknown, waitMs: number) => void;
}

export function createAnnounce(deps: AnnounceDeps): Announce {
  const { clock, entropy, signal, onFailure } = deps;
  return async (events) => {
    const [first] = events;
    if (first === undefined) return true;
    try {
      const known = deps.directory.peek(first.tenant, 0) ?? (await read(deps, first.tenant));
      if (!mayBeTaken(known, first.type)) return true;
      const done = await retry(() => append(deps, known, events), {
        clock,
        entropy,
        signal,
        ...BACKOFF,
        onFailure: (error, waitMs) => onFailure("announce", error, waitMs),
        isRetriable: (error, attemptIndex) => attemptIndex + 1 < TRIES_MAX && !isFull(error),
      });
      return done.kind === "done";
    } catch (error) {
      for (const { tenant, type } of events) deps.telemetry.endpoint.announcementLost(type, tenant, error);
      return false;
    }
  };
}

async function append(deps: AnnounceDeps, { version }: TenantEndpoints, events: readonly OwnEvent[]): Promise<void> {
  const envelopes = events.map((event) => ownEnvelope(event, version, deps.hasher));
  const untold = await withoutTold(deps, envelopes);
  if (untold.length === 0) return;
  await deps.lanes.append(untold);
  for (const { type } of untold) deps.telemetry.endpoint.announced(type);
}

/** A ledger that does not answer costs a telling in other words. */
async function withoutTold(deps: AnnounceDeps, envelopes: readonly Envelope[]): Promise<readonly Envelope[]> {
  const asking = Promise.all(envelopes.map((envelope) => isTold(deps, envelope)));
  const asked = await inTime(deps.clock, READ_MS, asking);
  return asked.kind === "timeout" ? envelopes : envelopes.filter((_, index) => asked.value[index] === false);
}

/** It has come as far as its endpoints. That it is known says nothing: it may never have come into its lane. */
async function isTold({ ledger }: AnnounceDeps, { tenant, id }: Envelope): Promise<boolean> {
  try {
    const event = await ledger.event(tenant, id);
    if (event === null || event.fanOut !== null) return event !== null;
    return (await ledger.deliveries({ tenant, eventId: id }, 1, null)).rows.length > 0;
  } catch {
    return false;
  }
}

async function read({ clock, directory }: AnnounceDeps, tenant: string): Promise<TenantEndpoints> {
  const asked = await inTime(clock, READ_MS, directory.endpoints(tenant, 0));
  if (asked.kind === "done") return asked.value;
  throw storeFault(`The endpoints of a tenant were not read within ${READ_MS} ms.`);
}

/** By an endpoint of any state: what one that is paused takes is held for it. */
function mayBeTaken({ endpoints, unreadable = [] }: TenantEndpoints, type: string): boolean {
  return unreadable.length > 0 || endpoints.some((endpoint) => matches(endpoint, type));
}

function isFull(error: unknown): boolean {
  return error instanceof PosthasteError && error.code === "overloaded";
}
