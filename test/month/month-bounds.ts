/** Bounds so small that the first week reaches them; what has only a bound by bytes would grow for years otherwise. */
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";

export const MONTH_BOUNDS = {
  // No process is ever away here, and each of its beats is a step of the clock.
  highHeldMs: 3_600_000,
  deadLetterBytesMax: 40 * 1024,
  apiKeysPerTenantMax: 20,
  apiKeysMax: 20,
  apiKeysEndedMax: 20,
  emptyTenantsMax: 20,
  limitSubjectsMax: 50,
  claimBytesMax: 4 * 1024 * 1024,
} as const;

/** So that an endpoint that never answers reaches its bound as well. */
export const MONTH_LIMITS = { ...PROCESSOR_LIMITS, backlogMax: 60 };
