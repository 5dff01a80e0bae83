/** Bounds of what lies in Redis; what is left out is as each store says. */
import type { CatalogueBounds } from "../redis/event-types/store.ts";
import type { LaneBounds } from "../redis/high-lane/append.ts";

/** Small ones for the tests of what happens at them. */
export interface StoreBounds {
  readonly high?: LaneBounds;
  readonly deadLetterBytesMax?: number;
  readonly endpointsMax?: number;
  readonly emptyTenantsMax?: number;
  readonly apiKeysMax?: number;
  readonly apiKeysEndedMax?: number;
  readonly catalogue?: CatalogueBounds;
  readonly claimBytesMax?: number;
  readonly cancelledMax?: number;
  readonly limitSubjectsMax?: number;
  readonly spoolBytesMax?: number;
  /** Of HIGH's holders and their leases, so that a long time passes in few steps. */
  readonly highHeldMs?: number;
}
