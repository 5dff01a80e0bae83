/** What was read of a tenant, as memory holds it. */
import type { Endpoint } from "../../../domain/endpoint.ts";
import { isDamage } from "../../../domain/errors.ts";
import { RecordedName } from "../../../domain/envelope-record.ts";
import * as v from "valibot";
import type { Sealer } from "../../../lib/ambient.ts";
import { lostAtMs } from "./epoch.ts";
import type { HeldTenant, StoredEndpoint } from "./memory.ts";
import { endpointOf } from "./record.ts";
import type { ReadReply } from "./store.ts";

export interface HeldDeps {
  readonly sealer: Sealer;
  readonly onFault: (error: unknown) => void;
}

/** What an endpoint and a tenant cost in memory beside their texts, about. */
const ROW_BYTES = 512;

/** Endpoints whose text is the same keep their object, so that a re-read unseals only what changed. */
export function heldFrom(
  deps: HeldDeps,
  tenant: string,
  epoch: string,
  read: ReadReply,
  old: HeldTenant | null,
  checkedAt: number,
): HeldTenant {
  if (read.stored === null && old !== null) return { ...old, epoch, checkedAt };
  const stored = rowsOf(deps, tenant, read, old);
  const endpoints: Endpoint[] = [];
  const unreadable: string[] = [];
  let isDamaged = false;
  let bytes = ROW_BYTES;
  for (const [id, row] of stored) {
    if (row.endpoint !== null) endpoints.push(row.endpoint);
    else if (v.is(RecordedName, id)) unreadable.push(id);
    isDamaged ||= row.isDamaged;
    bytes += 2 * row.stored.length + ROW_BYTES;
  }
  const lost = lossIn(epoch, endpoints);
  const known = {
    version: read.version,
    endpoints,
    ...(unreadable.length === 0 ? {} : { unreadable }),
    ...(lost === null ? {} : { lostAtMs: lost }),
  };
  const isKnownEmpty = read.version === 0 && old?.isKnownEmpty === true;
  return { tenant, epoch, known, stored, bytes, checkedAt, isStale: false, isDamaged, isKnownEmpty };
}

/** What was read, or what was held with what was read in its place; in the order of their places. */
function rowsOf(
  deps: HeldDeps,
  tenant: string,
  { stored, isPart }: ReadReply,
  old: HeldTenant | null,
): ReadonlyMap<string, StoredEndpoint> {
  const rows = new Map(isPart ? old?.stored : undefined);
  for (const [id, text] of stored ?? []) {
    const known = old?.stored.get(id);
    if (text === null) rows.delete(id);
    else rows.set(id, known?.stored === text ? known : readRow(deps, tenant, id, text, known?.endpoint ?? null));
  }
  return inOrder(rows);
}

/** A change keeps its place, and what is new comes last, but for the clocks of those who made it. */
function inOrder(rows: Map<string, StoredEndpoint>): ReadonlyMap<string, StoredEndpoint> {
  let before = "";
  for (const { stored } of rows.values()) {
    if (stored < before)
      return new Map([...rows].toSorted(([, left], [, right]) => (left.stored < right.stored ? -1 : 1)));
    before = stored;
  }
  return rows;
}

/** A tenant that has an endpoint from before the loss was written back, as a whole. */
function lossIn(epoch: string, endpoints: readonly Endpoint[]): number | null {
  const atMs = lostAtMs(epoch);
  return atMs === null || endpoints.some(({ createdAtMs }) => createdAtMs < atMs) ? null : atMs;
}

/** What does not read back is told once for each text, and is taken for what this process last read there. */
function readRow(
  { sealer, onFault }: HeldDeps,
  tenant: string,
  id: string,
  stored: string,
  before: Endpoint | null,
): StoredEndpoint {
  try {
    return { stored, endpoint: endpointOf(tenant, id, stored, sealer), isDamaged: false };
  } catch (error) {
    if (!isDamage(error)) throw error;
    onFault(error);
    return { stored, endpoint: before, isDamaged: true };
  }
}
