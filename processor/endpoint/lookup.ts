/** Finds one endpoint in a tenant's list in constant time; the index lives as long as the list it was made from. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Directory, TenantEndpoints } from "@posthaste/shared/ports/directory.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { Entry } from "./entry.ts";

/**
 * Null when there is no such endpoint (any more). `seenVersion` is the version of the directory that somebody has seen the
 * endpoint in: an older state, of a Redis that lost data, says nothing of it.
 */
export interface EndpointLookup {
  /** As the directory's memory has it; undefined when only `find` can tell. */
  peek(tenant: string, endpointId: string, seenVersion: number): Endpoint | null | undefined;
  /** Rejects when the directory cannot be read or is older, or the endpoint's own record cannot be read. */
  find(tenant: string, endpointId: string, seenVersion: number): Promise<Endpoint | null>;
}

export interface DueLookup extends EndpointLookup {
  /** As `find`, for a delivery that waited. */
  findDue(delivery: Pick<PendingDelivery, "tenant" | "endpointId" | "members">): Promise<DueEndpoint>;
}

/** `lost`: not there, and it may have been among what the store lost, at that time. */
export type DueEndpoint =
  | { readonly kind: "there"; readonly endpoint: Endpoint }
  | { readonly kind: "deleted" }
  | { readonly kind: "lost"; readonly atMs: number };

export function createEndpointLookup(directory: Pick<Directory, "peek" | "endpoints">): DueLookup {
  const indexes = new WeakMap<TenantEndpoints, Map<string, Endpoint>>();
  /** Undefined: there is one, and what it is cannot be told. */
  const pick = (list: TenantEndpoints, endpointId: string): Endpoint | null | undefined => {
    let index = indexes.get(list);
    if (index === undefined) {
      index = new Map(list.endpoints.map((endpoint) => [endpoint.id, endpoint]));
      indexes.set(list, index);
    }
    const found = index.get(endpointId);
    return found === undefined && list.unreadable?.includes(endpointId) !== true ? null : found;
  };
  /** The present list; with a version asked for at once, one that is older than now would do. */
  const read = async (tenant: string, seenVersion: number): Promise<TenantEndpoints> => {
    const list = await directory.endpoints(tenant, 0);
    return list.version >= seenVersion ? list : directory.endpoints(tenant, seenVersion);
  };
  const pickReadable = (list: TenantEndpoints, endpointId: string): Endpoint | null => {
    const found = pick(list, endpointId);
    if (found !== undefined) return found;
    const detail = `The record of the endpoint ${endpointId} does not read back.`;
    throw new PosthasteError("store-unavailable", { detail, isDamage: true });
  };
  return {
    peek(tenant, endpointId, seenVersion) {
      const list = directory.peek(tenant, 0);
      return list === null || list.version < seenVersion ? undefined : pick(list, endpointId);
    },
    find: async (tenant, endpointId, seenVersion) => pickReadable(await read(tenant, seenVersion), endpointId),
    async findDue(delivery) {
      const { tenant, endpointId, members } = delivery;
      const list = await read(tenant, versionSeen(delivery));
      const endpoint = pickReadable(list, endpointId);
      if (endpoint !== null) return { kind: "there", endpoint };
      const { lostAtMs = -Infinity } = list;
      const wasAccepted = members.some(({ acceptedAtMs }) => acceptedAtMs < lostAtMs);
      return wasAccepted ? { kind: "lost", atMs: lostAtMs } : { kind: "deleted" };
    },
  };
}

/** The version of the directory that a delivery's events were accepted at. */
export function versionSeen({ members }: Pick<PendingDelivery, "members">): number {
  return members.reduce((highest, { directoryVersion }) => Math.max(highest, directoryVersion), 0);
}

export const ENDPOINT_DELETED: Inactive = { kind: "inactive", state: "dead", reason: "the endpoint was deleted" };

type Inactive = Extract<Entry, { kind: "inactive" }>;

export type CurrentEndpoint = Inactive | { readonly kind: "active"; readonly endpoint: Endpoint };

/**
 * The endpoint as it is now, or why it takes no deliveries. Nobody waits here: while the directory answers later, or not
 * at all, the endpoint is as it was `before`.
 */
export function currentEndpoint(
  lookup: EndpointLookup,
  delivery: Pick<PendingDelivery, "tenant" | "endpointId" | "members">,
  before: Endpoint,
): CurrentEndpoint {
  const { tenant, endpointId } = delivery;
  const seen = versionSeen(delivery);
  const found = lookup.peek(tenant, endpointId, seen);
  // So that memory has it for the next one who looks.
  if (found === undefined) lookup.find(tenant, endpointId, seen).catch(() => undefined);
  const endpoint = found === undefined ? before : found;
  if (endpoint === null) return ENDPOINT_DELETED;
  if (endpoint.status === "active") return { kind: "active", endpoint };
  const reason = endpoint.status === "paused" ? "the endpoint is paused" : "the endpoint is disabled";
  return { kind: "inactive", state: endpoint.status, reason: endpoint.statusReason ?? reason };
}

/** Memory is asked for each delivery; what it cannot tell is read. */
export function withLooksCounted(directory: Directory, counted: (isHit: boolean) => void): Directory {
  return {
    ...directory,
    peek(tenant, atLeastVersion) {
      const found = directory.peek(tenant, atLeastVersion);
      counted(found !== null);
      return found;
    },
  };
}
