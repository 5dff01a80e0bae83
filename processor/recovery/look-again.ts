/** A dead letter that is written as held while its owner resumes or deletes the endpoint would lie there unseen. */
import type { MissedState } from "@posthaste/shared/domain/delivery.ts";
import type { EndpointLimiters } from "../endpoint/limiters.ts";
import type { EndpointLookup } from "../endpoint/lookup.ts";
import type { Recovery } from "./recovery.ts";

/** Call it after a dead letter of a held state was written. */
export type LookAgain = (tenant: string, endpointId: string, state: MissedState) => void;

export function createLookAgain(deps: {
  lookup: EndpointLookup;
  limiters: Pick<EndpointLimiters, "keepsBack">;
  recovery: Pick<Recovery, "recover">;
}): LookAgain {
  const { lookup, limiters, recovery } = deps;
  return (tenant, endpointId, state) => {
    if (state === "backlog" && limiters.keepsBack(endpointId)) return;
    const endpoint = lookup.peek(tenant, endpointId, 0);
    // `recover` looks for itself when memory cannot tell.
    if (endpoint === undefined || endpoint === null || endpoint.status === "active")
      void recovery.recover(tenant, endpointId);
  };
}
