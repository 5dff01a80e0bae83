/**
 * Takes an event from its lane (or a due `deliver_at` from the retry queue), fans it out and gives each delivery to its
 * endpoint's gate. The source is told once: done when every delivery is settled, handed back when one could not be.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Directory, TenantEndpoints } from "@posthaste/shared/ports/directory.ts";
import type { Ledger } from "@posthaste/shared/ports/ledger.ts";
import type { RetryQueue } from "@posthaste/shared/ports/retry-queue.ts";
import type { DeliveryTelemetry } from "@posthaste/shared/telemetry/delivery.ts";
import type { EndpointLimiters } from "../endpoint/limiter.ts";
import type { BatchGroups, Source } from "../intake/batch-groups.ts";
import type { PendingDelivery } from "./pending-delivery.ts";
import type { Persist } from "./persistence.ts";
import type { Settle } from "./settle.ts";
import type { Settlements } from "./settlements.ts";
import { laneOf } from "@posthaste/shared/domain/envelope.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import { fanOut } from "./fan-out.ts";
import { subjectOf } from "./pending-delivery.ts";

type Go = (outgoing: PendingDelivery, endpoint: Endpoint) => void;
/** Which attempt the ledger is asked about. */
type AttemptOf = (outgoing: PendingDelivery) => number;

/**
 * An event handed out again from its lane is asked about as a whole: a delivery that was parked, postponed or held lives
 * on elsewhere already, and only the event's other endpoints kept it in its lane.
 */
const ANYTHING = 0;

export interface DispatcherDeps {
  readonly clock: Clock;
  readonly directory: Pick<Directory, "endpoints">;
  readonly ledger: Pick<Ledger, "isCompleted">;
  readonly settlements: Pick<Settlements, "record" | "flush">;
  readonly retryQueue: Pick<RetryQueue, "schedule">;
  readonly gates: Pick<EndpointLimiters, "submit">;
  readonly groups: Pick<BatchGroups, "add">;
  /** For a delivery that comes fresh from its fan-out. */
  readonly begin: Go;
  readonly missed: Settle["missed"];
  readonly persist: Persist;
  readonly telemetry: DeliveryTelemetry;
}

export interface Dispatcher {
  /** `isDue`: its `deliver_at` has come, whatever the clock says. */
  dispatch(envelope: Envelope, source: Spreading & { isDue: boolean }): void;
  /** Gives a message to its gate, unless it is a repeat whose attempt the ledger shows as completed. */
  submit(outgoing: PendingDelivery, endpoint: Endpoint, isRepeat: boolean): void;
}

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const underway: Underway = new Map();
  const unlessCompleted = (go: Go, attemptOf: AttemptOf): Dispatcher["submit"] => {
    return (outgoing, endpoint, isRepeat) => {
      if (isRepeat) void goUnlessCompleted(deps, underway, { outgoing, endpoint, go, attemptOf });
      else go(outgoing, endpoint);
    };
  };
  const begin = unlessCompleted(deps.begin, () => ANYTHING);
  return {
    submit: unlessCompleted(deps.gates.submit, ({ attempt }) => attempt),
    dispatch(envelope, source) {
      if (!source.isDue && envelope.deliverAtMs !== null && envelope.deliverAtMs > deps.clock.now()) {
        void postpone(deps, envelope, envelope.deliverAtMs, source);
        return;
      }
      const known = deps.directory.endpoints(envelope.tenant, envelope.directoryVersion);
      if (known instanceof Promise) void spreadWhenKnown(deps, begin, envelope, known, source);
      else spread(deps, begin, envelope, known, source);
    },
  };
}

async function postpone(deps: DispatcherDeps, envelope: Envelope, notBeforeMs: number, source: Source): Promise<void> {
  const plan = { cause: "deliver-at", notBeforeMs, endpointId: null, generation: 0, attempt: 1 } as const;
  const entry = scheduledEvent(envelope, plan);
  let isFull = false;
  const isDone = await deps.persist("deliver-at", async () => {
    isFull = (await deps.retryQueue.schedule([entry])).kind === "full";
  });
  if (!isDone) source.handBack();
  else if (isFull) await holdBack(deps, envelope, source);
  else source.done();
}

/** The retry queue is full: fanned out now, and kept in the dead-letter record until there is room and it is due. */
async function holdBack(deps: DispatcherDeps, envelope: Envelope, source: Source): Promise<void> {
  const keep = (outgoing: PendingDelivery) => void deps.missed(outgoing, "backlog", "the retry queue is full");
  const known = deps.directory.endpoints(envelope.tenant, envelope.directoryVersion);
  const held = { ...source, isRepeat: false, isGrouped: false };
  if (known instanceof Promise) await spreadWhenKnown(deps, keep, envelope, known, held);
  else spread(deps, keep, envelope, known, held);
}

export interface Spreading extends Source {
  readonly isRepeat: boolean;
  /** False: a LOW delivery goes its way alone, whatever its endpoint takes. */
  readonly isGrouped?: boolean;
  /** Told how many deliveries the item still stands for. */
  readonly weigh?: (deliveries: number) => void;
}

async function spreadWhenKnown(
  deps: DispatcherDeps,
  begin: Dispatcher["submit"],
  envelope: Envelope,
  asked: Promise<TenantEndpoints>,
  source: Spreading,
): Promise<void> {
  let asking: TenantEndpoints | Promise<TenantEndpoints> | null = asked;
  let known: TenantEndpoints | null = null;
  await deps.persist("read directory", async () => {
    const answer = asking ?? deps.directory.endpoints(envelope.tenant, envelope.directoryVersion);
    asking = null;
    known = await answer;
  });
  if (known === null) source.handBack();
  else spread(deps, begin, envelope, known, source);
}

function spread(
  deps: DispatcherDeps,
  begin: Dispatcher["submit"],
  envelope: Envelope,
  known: TenantEndpoints,
  source: Spreading,
): void {
  const { matched, record } = fanOut(envelope, known.endpoints, deps.clock.now());
  // One endpoint matched and none was filtered: the delivery's own record will say as much.
  if (matched.length !== 1 || record.filteredCount > 0) deps.settlements.record([{ kind: "fan-out", fanOut: record }]);
  if (matched.length === 0) return source.done();
  const lane = laneOf(envelope);
  source.weigh?.(matched.length);
  const shared = matched.length === 1 ? source : shareSource(source, matched.length);
  for (const endpoint of matched) {
    const outgoing: PendingDelivery = {
      tenant: envelope.tenant,
      endpointId: endpoint.id,
      lane,
      generation: 0,
      attempt: 1,
      parks: 0,
      members: [envelope],
      group: null,
      done: shared.done,
      handBack: shared.handBack,
    };
    if (lane === "low" && endpoint.batch !== null && source.isGrouped !== false) {
      void group(deps, outgoing, endpoint, source.isRepeat);
    } else {
      begin(outgoing, endpoint, source.isRepeat);
    }
  }
}

/** One source for several deliveries: told when the last has ended, and handed back if any could not be finished. */
function shareSource(source: Spreading, deliveries: number): Source {
  let left = deliveries;
  let isWhole = true;
  const end = () => {
    left -= 1;
    if (left > 0) return source.weigh?.(left);
    if (isWhole) source.done();
    else source.handBack();
  };
  return {
    done: end,
    handBack: () => {
      isWhole = false;
      end();
    },
  };
}

async function group(
  deps: DispatcherDeps,
  outgoing: PendingDelivery,
  endpoint: Endpoint,
  isRepeat: boolean,
): Promise<void> {
  if (isRepeat && (await isCompleted(deps, outgoing, ANYTHING))) return outgoing.done();
  for (const member of outgoing.members) deps.groups.add(member, endpoint, outgoing);
}

/** Repeats on their way, by delivery and attempt. */
type Underway = Map<string, Promise<void>>;

/** A second copy (a crash between two steps of a recovery leaves one) waits for the first, and then asks the ledger. */
async function goUnlessCompleted(
  deps: DispatcherDeps,
  underway: Underway,
  {
    outgoing,
    endpoint,
    go,
    attemptOf,
  }: { outgoing: PendingDelivery; endpoint: Endpoint; go: Go; attemptOf: AttemptOf },
): Promise<void> {
  const { tenant, endpointId, generation, attempt } = outgoing;
  const key = [tenant, subjectOf(outgoing).eventId, endpointId, generation, attempt].join("\n");
  for (let other = underway.get(key); other !== undefined; other = underway.get(key)) await other;
  const { promise, resolve } = Promise.withResolvers<void>();
  underway.set(key, promise);
  const then = (tell: () => void) => () => {
    underway.delete(key);
    resolve();
    tell();
  };
  const single = { ...outgoing, done: then(outgoing.done), handBack: then(outgoing.handBack) };
  if (await isCompleted(deps, single, attemptOf(single))) single.done();
  else go(single, endpoint);
}

/**
 * A group is over when each of its members is: after a crash members regroup, and the first may have been delivered in
 * other company. When one is not, the whole group goes out again. A ledger that fails costs a repeat.
 */
async function isCompleted(deps: DispatcherDeps, outgoing: PendingDelivery, attempt: number): Promise<boolean> {
  const { tenant, endpointId, generation, members } = outgoing;
  // What was settled a moment ago is not in the ledger before it is written.
  deps.settlements.flush();
  try {
    for (const { id: eventId } of members) {
      if (!(await deps.ledger.isCompleted({ tenant, eventId, endpointId, generation }, attempt))) return false;
    }
  } catch {
    return false;
  }
  deps.telemetry.repeatSkipped(subjectOf(outgoing));
  return true;
}
