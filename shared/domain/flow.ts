/**
 * A flow is what a lane is shared by within a tenant: the events of one type, or of a few whose names share a number. To
 * which endpoints an event goes is decided by its type, so one endpoint that hangs holds up its own flows and no other.
 */

/** Flows of one tenant, at most: a power of two. Fifty busy types share their flow with another one in a hundred times. */
export const FLOWS_MAX = 4096;

/** A number from 0 to `FLOWS_MAX` - 1. Stored: what it gives for a type never changes (FNV-1a of the UTF-16 units, folded). */
export function flowOf(type: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < type.length; index++) hash = Math.imul(hash ^ type.charCodeAt(index), 0x01000193);
  return (hash ^ (hash >>> 16)) & (FLOWS_MAX - 1);
}
