/**
 * Everything between a taken item and its ack, put together once: dispatcher, groups, gates, delivery, settling and the
 * recovery of what was held. The loops that feed it are in `sources.ts`.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Clock, Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { Dispatcher } from "./delivery/dispatcher.ts";
import type { EndpointLimiters } from "./endpoint/limiter.ts";
import type { EndpointLookup } from "./endpoint/lookup.ts";
import type { ProcessorLimits } from "./limits.ts";
import type { BatchGroups } from "./intake/batch-groups.ts";
import type { PendingDelivery } from "./delivery/pending-delivery.ts";
import type { Persist } from "./delivery/persistence.ts";
import type { Recovery } from "./recovery/recovery.ts";
import type { Settle } from "./delivery/settle.ts";
import type { Settlements } from "./delivery/settlements.ts";
import { createDeliver } from "./delivery/send.ts";
import { createDispatcher } from "./delivery/dispatcher.ts";
import { createEndpointLimiters } from "./endpoint/limiter.ts";
import { createEndpointLookup } from "./endpoint/lookup.ts";
import { createBegin } from "./delivery/first-wait.ts";
import { createBatchGroups } from "./intake/batch-groups.ts";
import { createPersist } from "./delivery/persistence.ts";
import { createRecovery } from "./recovery/recovery.ts";
import { createSettle } from "./delivery/settle.ts";
import { createSettlements } from "./delivery/settlements.ts";

export interface ProcessorDeps {
  readonly drivers: Drivers;
  readonly transport: Pick<Transport, "send">;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly telemetry: Telemetry;
  readonly limits: ProcessorLimits;
}

export interface Pipeline {
  readonly dispatcher: Dispatcher;
  readonly gates: EndpointLimiters;
  readonly groups: BatchGroups;
  readonly lookup: EndpointLookup;
  readonly persist: Persist;
  readonly recovery: Recovery;
  readonly settle: Settle;
  readonly settlements: Settlements;
}

/** `sending` ends attempts in flight, `writing` ends the repetition of writes; both are aborted by a stop. */
export function createPipeline(deps: ProcessorDeps, signals: { sending: AbortSignal; writing: AbortSignal }): Pipeline {
  const { drivers, clock, entropy, hasher, telemetry, limits } = deps;
  const { directory, ledger, retryQueue, deadLetters, stats } = drivers;
  const lookup = createEndpointLookup(directory);
  const onFailure = (what: string, error: unknown, waitMs: number) => telemetry.queue.loopFailed(what, error, waitMs);
  const persist = createPersist({ clock, entropy, signal: signals.writing, onFailure });
  const perS = limits.recoveryPerS;
  const recovery = createRecovery({
    clock,
    entropy,
    deadLetters,
    retryQueue,
    leases: drivers.leases,
    directory,
    retryUntilStored: persist,
    perS,
    signal: signals.writing,
    telemetry: telemetry.endpoint,
  });
  const settlements = createSettlements({ clock, ledger, stats, persist });
  const writes = { clock, entropy, hasher, retryQueue, deadLetters, directory, settlements, telemetry, persist };
  const { whenOut } = recovery;
  const lookAgain = createLookAgain(lookup, recovery);
  const settle = createSettle({
    ...writes,
    whenOut,
    onHeld: (tenant, endpointId, state) => {
      if (state !== "backlog" || !gates.keepsBack(endpointId)) lookAgain(tenant, endpointId);
    },
  });
  const gates = createEndpointLimiters({
    clock,
    limits,
    rateLimiter: drivers.rateLimiter,
    telemetry: telemetry.endpoint,
    admit: (outgoing, before) => admit(settle, lookup.find(outgoing.tenant, outgoing.endpointId), outgoing, before),
    attempt: createDeliver({
      transport: deps.transport,
      clock,
      entropy,
      hasher,
      attemptMs: limits.attemptMs,
      telemetry: telemetry.delivery,
      signal: signals.sending,
    }),
    settle: (outgoing, endpoint, result) => void settle.attempted(outgoing, endpoint, result),
    park: (outgoing, why, notBeforeMs) => void settle.parked(outgoing, why, notBeforeMs),
    overflow: (outgoing) => void settle.missed(outgoing, "backlog", backlogReason(limits.backlogMax)),
    recovered: (tenant, endpointId) => void recovery.recover(tenant, endpointId),
  });
  const begin = createBegin({ clock, entropy, gates, settle });
  const groups = createBatchGroups({ clock, hasher, submit: begin });
  const telling = { clock, directory, ledger, settlements, retryQueue, telemetry: telemetry.delivery };
  const dispatcher = createDispatcher({ ...telling, gates, groups, begin, missed: settle.missed, persist });
  return { dispatcher, gates, groups, lookup, persist, recovery, settle, settlements };
}

/** A letter written as held while its owner resumed the endpoint would lie there unseen: look again. */
function createLookAgain(lookup: EndpointLookup, recovery: Recovery): (tenant: string, endpointId: string) => void {
  return (tenant, endpointId) => {
    const endpoint = lookup.find(tenant, endpointId);
    // `recover` looks for itself when the directory does not answer from memory.
    if (endpoint instanceof Promise) endpoint.catch(() => undefined);
    if (endpoint instanceof Promise || endpoint?.status === "active") void recovery.recover(tenant, endpointId);
  };
}

function backlogReason(backlogMax: number): string {
  return `more than ${backlogMax} deliveries already waited for this endpoint; it goes out when the endpoint recovers`;
}

/** The endpoint as it is now; when it takes no deliveries, the message is recorded as missed and null returned. */
function admit(
  settle: Settle,
  found: Endpoint | null | Promise<Endpoint | null>,
  outgoing: PendingDelivery,
  before: Endpoint,
): Endpoint | null {
  // The gate does not wait: while the directory answers later, or not at all, the endpoint is as it was.
  if (found instanceof Promise) found.catch(() => undefined);
  const endpoint = found instanceof Promise ? before : found;
  if (endpoint === null) {
    void settle.missed(outgoing, "dead", "the endpoint was deleted");
    return null;
  }
  if (endpoint.status === "active") return endpoint;
  const reason =
    endpoint.statusReason ?? (endpoint.status === "paused" ? "the endpoint is paused" : "the endpoint is disabled");
  void settle.missed(outgoing, endpoint.status, reason);
  return null;
}
