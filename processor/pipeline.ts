/**
 * Everything between a taken item and its ack, put together once: endpoint limiters, delivery, settling, batch groups,
 * and the recovery of what was held. The loops that feed it are in `intake/`.
 */
import type { Clock, Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { DeliverEvent } from "./delivery/deliver-event.ts";
import type { PutAside } from "./delivery/put-aside.ts";
import type { RunDelivery } from "./delivery/run-delivery.ts";
import type { Company } from "@posthaste/shared/lib/company.ts";
import type { Settle } from "./delivery/settle.ts";
import type { Settlements } from "./delivery/settlements.ts";
import type { Standstill } from "./delivery/standstill.ts";
import type { StoredWrites, UntilStored } from "./delivery/until-stored.ts";
import type { AnnounceDeps } from "./announce.ts";
import type { EndpointHealthDeps } from "./endpoint/health.ts";
import type { EndpointLimiters } from "./endpoint/limiters.ts";
import type { DueLookup } from "./endpoint/lookup.ts";
import type { LowWaiting } from "./endpoint/low-waiting.ts";
import type { BatchGroups } from "./intake/batch-groups.ts";
import type { ProcessorLimits } from "./limits.ts";
import type { Recovery } from "./recovery/recovery.ts";
import { createAnnounce } from "./announce.ts";
import { createBegin } from "./delivery/begin.ts";
import { createCompleted } from "./delivery/completed.ts";
import { createCrashGuard } from "./delivery/crash-guard.ts";
import { createIsApart } from "./delivery/is-apart.ts";
import { createDeadLetterEnds, createDeliveredLook } from "./delivery/dead-letter-ends.ts";
import { createDeliverEvent } from "./delivery/deliver-event.ts";
import { createPutAside } from "./delivery/put-aside.ts";
import { createRunDelivery } from "./delivery/run-delivery.ts";
import { createSend } from "./delivery/send.ts";
import { createSettle } from "./delivery/settle.ts";
import { createSettlements } from "./delivery/settlements.ts";
import { createStoredWrites } from "./delivery/until-stored.ts";
import { createEndpointHealth } from "./endpoint/health.ts";
import { createEndpointLimiters } from "./endpoint/limiters.ts";
import { createEndpointLookup, withLooksCounted } from "./endpoint/lookup.ts";
import { createBatchGroups } from "./intake/batch-groups.ts";
import { createLookAgain } from "./recovery/look-again.ts";
import { createRecovery } from "./recovery/recovery.ts";

export interface ProcessorDeps {
  readonly drivers: Drivers;
  readonly transport: Pick<Transport, "send">;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly telemetry: Telemetry;
  readonly limits: ProcessorLimits;
}

/** What the loops and the pipeline of one processor share. */
export interface PipelineParts {
  readonly signals: PipelineSignals;
  readonly standstill: Standstill;
  readonly lowWaiting: LowWaiting;
  readonly company: Company;
}

export interface Pipeline {
  readonly lookup: DueLookup;
  readonly limiters: EndpointLimiters;
  readonly untilStored: UntilStored;
  readonly givenUp: StoredWrites["givenUp"];
  readonly settlements: Settlements;
  readonly settle: Settle;
  readonly run: RunDelivery;
  readonly groups: BatchGroups;
  readonly deliverEvent: DeliverEvent;
  readonly putAside: PutAside;
  readonly recovery: Recovery;
}

export interface PipelineSignals {
  /** Ends what has not begun: a look-up that an attempt waits for. */
  readonly taking: AbortSignal;
  /** Ends attempts in flight. */
  readonly sending: AbortSignal;
  /** Ends the repetition of writes. */
  readonly writing: AbortSignal;
}

/** The signals are aborted by a stop, one after the other. */
export function createPipeline(
  deps: ProcessorDeps,
  { signals, standstill, lowWaiting, company }: PipelineParts,
): Pipeline {
  const { drivers, transport, telemetry, limits, ...ambient } = deps;
  const { clock, entropy, hasher } = ambient;
  const { ledger, retryQueue, deadLetters, stats, tail, rateLimiter } = drivers;
  const directory = withLooksCounted(drivers.directory, (isHit) => telemetry.accept.cache("directory", isHit));
  const { attemptMs, backlogMax, recoveryPerS: perS } = limits;

  const onFailure = (what: string, error: unknown, waitMs: number): void =>
    telemetry.queue.loopFailed(what, error, waitMs);
  const { taking: stopping, sending: signal, writing } = signals;
  const { untilStored, givenUp } = createStoredWrites({ clock, entropy, stopping, signal: writing, onFailure });
  const deadLetterEnds = createDeadLetterEnds({ clock, ledger, deadLetters, untilStored });
  const settlements = createSettlements({ clock, ledger, stats, tail, deadLetterEnds, untilStored });
  const deliveredLook = createDeliveredLook({ ledger, settlements });
  const lookup = createEndpointLookup(directory);
  const limiters = createEndpointLimiters({
    clock,
    limits,
    rateLimiter,
    telemetry: telemetry.endpoint,
    lookup,
    lowWaiting,
    recall: (endpointId, max) => retryQueue.recall(endpointId, max),
  });
  const recovery = createRecovery({
    clock,
    entropy,
    deadLetters,
    retryQueue,
    leases: drivers.leases,
    directory,
    ledger,
    settlements,
    untilStored,
    perS,
    signal: writing,
    telemetry: telemetry.endpoint,
  });
  limiters.onRecovered((tenant, endpointId) => void recovery.recover(tenant, endpointId));

  const lookAgain = createLookAgain({ lookup, limiters, recovery });
  const told = createTold(deps, { directory, lookup, signal: writing, onFailure });
  const writes = { retryQueue, deadLetters, deliveredLook, directory, settlements, recovery, untilStored, ...told };
  const isApart = createIsApart(directory);
  const settle = createSettle({ ...ambient, ...writes, telemetry, limiters, company, isApart, lookAgain });
  const sends = { transport, attemptMs, standstill, telemetry, isApart, stopping, signal };
  const send = createSend({ ...ambient, ...sends });
  const { begunAttempts, cancellations } = drivers;
  const crashGuard = createCrashGuard({ begunAttempts, settle, stopping, onFailure });
  const completed = createCompleted({ ledger, settlements, deliveredLook, crashGuard, telemetry: telemetry.delivery });
  const attempts = { completed, crashGuard, send, settle, standstill };
  const run = createRunDelivery({ clock, entropy, limiters, lookup, ...attempts, backlogMax });
  const groups = createBatchGroups({ clock, hasher, run, lookup, completed });
  const putAside = createPutAside({ clock, entropy, retryQueue, settle, untilStored });
  const begin = createBegin({ clock, entropy, cancellations, signal: writing, onFailure });
  const reads = { clock, entropy, begin, directory, retryQueue, settlements, completed, untilStored, onFailure };
  const { trace } = telemetry;
  const deliverEvent = createDeliverEvent({
    ...reads,
    crashGuard,
    groups,
    run,
    settle,
    putAside,
    trace,
    signal: writing,
  });
  return { lookup, limiters, untilStored, givenUp, settlements, settle, run, groups, deliverEvent, putAside, recovery };
}

/** What owners and the operator are told of. */
function createTold(
  { drivers, telemetry, limits, ...ambient }: ProcessorDeps,
  parts: Pick<AnnounceDeps, "directory" | "signal" | "onFailure"> & Pick<EndpointHealthDeps, "directory" | "lookup">,
) {
  const { lanes, ledger } = drivers;
  const announce = createAnnounce({ ...ambient, ...parts, telemetry, lanes, ledger });
  const { disableAfterMs } = limits;
  const health = createEndpointHealth({
    ...ambient,
    ...parts,
    announce,
    disableAfterMs,
    telemetry: telemetry.endpoint,
  });
  return { announce, health };
}
