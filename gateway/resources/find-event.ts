/** Finds the event that a path names, for the caller's tenant. */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { isEventId, isId, isIdBefore } from "@posthaste/shared/domain/id.ts";
import type { EventRecord } from "@posthaste/shared/ports/ledger.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest } from "../request/handle.ts";

/** An event that is done is kept so long at least, as far as there is room. */
const KEPT_MS = 24 * 3600 * 1000;

/** The id in the path. Throws 404 for what cannot be an event's id, so that no store is asked. */
export function namedEvent(admitted: AdmittedRequest): string {
  const id = admitted.param("id");
  if (!isEventId(id)) throw noEvent();
  return id;
}

export async function findEvent(deps: GatewayDeps, tenant: string, id: string): Promise<EventRecord> {
  const record = await deps.drivers.ledger.event(tenant, id);
  if (record === null) throw noEvent();
  return record;
}

/**
 * The same for what needs the event's content. An id of ours tells its age: past the time that events are kept, the answer
 * is 410 with the remedy.
 */
export async function findKeptEvent(deps: GatewayDeps, tenant: string, id: string): Promise<EventRecord> {
  const isOld = isId("evt", id) && isIdBefore("evt", id, deps.clock.now() - KEPT_MS);
  if (!isOld) return findEvent(deps, tenant, id);
  const record = await deps.drivers.ledger.event(tenant, id);
  if (record !== null) return record;
  throw new PosthasteError(
    "gone",
    `The content of an event of this id is no longer kept. Dead letters of it can still be replayed: POST /v1/dead-letters/replay with {"event_id":"${id}"}; else publish it again.`,
  );
}

function noEvent(): PosthasteError {
  return new PosthasteError("not-found", "The tenant has no event of this id, or it is no longer kept.");
}
