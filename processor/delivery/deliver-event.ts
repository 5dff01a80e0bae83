/**
 * One event from its queue item to the end of all its deliveries: wait for `deliver_at` on the retry queue, see that it
 * was not cancelled, read the tenant's endpoints, fan out, run each delivery.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { Directory, TenantEndpoints } from "@posthaste/shared/ports/directory.ts";
import type { RetryQueue } from "@posthaste/shared/ports/retry-queue.ts";
import type { TraceTelemetry } from "@posthaste/shared/telemetry/trace.ts";
import type { BatchGroups } from "../intake/batch-groups.ts";
import type { Begin } from "./begin.ts";
import type { Completed } from "./completed.ts";
import type { CrashGuard, Started } from "./crash-guard.ts";
import type { Ending, PendingDelivery } from "./pending-delivery.ts";
import type { HandedEvent, PutAside } from "./put-aside.ts";
import type { RunDelivery } from "./run-delivery.ts";
import type { Settle } from "./settle.ts";
import type { Settlements } from "./settlements.ts";
import type { UntilStored } from "./until-stored.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { cancelledFanOut } from "@posthaste/shared/ports/ledger.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import { ANYTHING } from "./completed.ts";
import type { FannedOut, FanOutOf } from "./fan-out.ts";
import type { EndpointsRead, Read } from "./read-endpoints.ts";
import { createRead } from "./read-endpoints.ts";
import { createFanOut } from "./fan-out.ts";
import { firstDelivery } from "./pending-delivery.ts";

export interface DeliverEventDeps {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly directory: Pick<Directory, "peek" | "endpoints">;
  readonly retryQueue: Pick<RetryQueue, "schedule">;
  readonly begin: Begin;
  readonly settlements: Pick<Settlements, "record">;
  readonly completed: Completed;
  readonly crashGuard: Pick<CrashGuard, "fanOut">;
  readonly groups: Pick<BatchGroups, "add">;
  readonly run: RunDelivery;
  readonly settle: Pick<Settle, "missed">;
  readonly untilStored: UntilStored;
  readonly putAside: Pick<PutAside, "event" | "delivery">;
  readonly trace: Pick<TraceTelemetry, "fannedOut">;
  /** Aborted at the end of a stop. */
  readonly signal: AbortSignal;
  readonly onFailure: (what: string, error: unknown, waitMs: number) => void;
}

export interface Handed extends HandedEvent {
  /** The queue may have handed it out before. */
  readonly isRepeat: boolean;
  /** A copy that the lane gave away because the event held it up; the event itself may still be under way. */
  readonly isCopy: boolean;
  /** Takes how many deliveries the item still stands for: all after the fan-out, fewer as they end. */
  readonly weigh: (deliveries: number) => void;
}

export type DeliverEvent = (envelope: Envelope, handed: Handed) => Promise<Ending>;

/** What a repeat counts in the window until its fan-out, which waits for a question about it. */
const REPEAT_WEIGHT = 32;

/** A copy whose event is under way here comes back after this. */
const COPY_AGAIN_MS = 20_000;

export function createDeliverEvent(given: DeliverEventDeps): DeliverEvent {
  const deps = { ...given, read: createRead(given), fanOut: createFanOut() };
  /** Events that this process has from a lane; as many as the windows let in. */
  const underWay = new Set<string>();

  async function deliverTracked(envelope: Envelope, handed: Handed): Promise<Ending> {
    const key = `${envelope.tenant}\n${envelope.id}`;
    if (underWay.has(key)) return handed.isCopy ? putOffCopy(deps, envelope, handed) : deliver(deps, envelope, handed);
    if (handed.isDue) return deliver(deps, envelope, handed);
    underWay.add(key);
    try {
      return await deliver(deps, envelope, handed);
    } finally {
      underWay.delete(key);
    }
  }
  return deliverTracked;
}

function deliver(deps: Deps, envelope: Envelope, handed: Handed): Promise<Ending> {
  const { deliverAtMs } = envelope;
  const each: Each = (endpoint) => deliverFirst(deps, envelope, endpoint, handed.isRepeat);
  if (deliverAtMs === null) return fanOutEach(deps, envelope, handed, each);
  return !handed.isDue && deliverAtMs > deps.clock.now()
    ? postpone(deps, envelope, deliverAtMs, handed)
    : beginEach(deps, envelope, deliverAtMs, handed, each);
}

/** Unless it was cancelled. */
async function beginEach(
  deps: Deps,
  envelope: Envelope,
  deliverAtMs: number,
  handed: Handed,
  each: Each,
): Promise<Ending> {
  const beginning = await deps.begin(envelope, deliverAtMs);
  switch (beginning) {
    case "begun":
      return fanOutEach(deps, envelope, handed, each);
    case "cancelled":
      deps.settlements.record([{ kind: "fan-out", fanOut: cancelledFanOut(envelope, deps.clock.now()), envelope }]);
      return "settled";
    case "unknown":
      return deps.putAside.event(envelope, handed, "undecided");
    case "stopping":
      return "released";
    default:
      return unreachable(beginning);
  }
}

/**
 * The event itself waits for its group, its slot or its answer: its copy is kept until that has ended, and does not take
 * a place in the window meanwhile. When the retry queue is full it goes on, and the ledger and the group tell it apart.
 */
async function putOffCopy(deps: Deps, envelope: Envelope, handed: Handed): Promise<Ending> {
  const notBeforeMs = deps.clock.now() + COPY_AGAIN_MS;
  const { putAside } = handed;
  const plan = { cause: "relieved", notBeforeMs, endpointId: null, generation: 0, attempt: 1, putAside } as const;
  const copy = scheduledEvent(envelope, plan);
  const stored = await deps.untilStored("relieved", () => deps.retryQueue.schedule([copy]));
  if (stored.kind === "aborted") return "released";
  return stored.value.kind === "scheduled" ? "settled" : deliver(deps, envelope, handed);
}

/**
 * Back at its `deliver_at`, from the retry queue. When that is full the event is fanned out now, and kept in the
 * dead-letter record until there is room and it is due.
 */
async function postpone(deps: Deps, envelope: Envelope, notBeforeMs: number, handed: Handed): Promise<Ending> {
  const plan = { cause: "deliver-at", notBeforeMs, endpointId: null, generation: 0, attempt: 1 } as const;
  const entry = scheduledEvent(envelope, plan);
  const stored = await deps.untilStored("deliver-at", () => deps.retryQueue.schedule([entry]));
  if (stored.kind === "aborted") return "released";
  if (stored.value.kind === "scheduled") return "settled";
  return beginEach(deps, envelope, notBeforeMs, handed, (endpoint) =>
    deps.settle.missed(firstDelivery(envelope, endpoint, handed.isRepeat), "backlog", "the retry queue is full"),
  );
}

/**
 * Runs `each` for every endpoint that subscribes to the event; settled when all deliveries are. Up to the fan-out it
 * does not wait while the directory answers from memory: the window must know the item's weight before the next is let in.
 */
async function fanOutEach(deps: Deps, envelope: Envelope, handed: Handed, each: Each): Promise<Ending> {
  const { tenant, directoryVersion } = envelope;
  const start = async (): Promise<Started> => {
    const known = deps.directory.peek(tenant, directoryVersion) ?? (await deps.read(tenant, directoryVersion));
    return { ending: fanOutTo(deps, envelope, known, handed, each) };
  };
  if (handed.isRepeat) {
    handed.weigh(REPEAT_WEIGHT);
    return (await deps.crashGuard.fanOut(envelope, start)).ending;
  }
  const known = deps.directory.peek(tenant, directoryVersion);
  return known === null ? (await start()).ending : fanOutTo(deps, envelope, known, handed, each);
}

async function fanOutTo(
  deps: Deps,
  envelope: Envelope,
  known: EndpointsRead,
  handed: Handed,
  each: Each,
): Promise<Ending> {
  const { weigh } = handed;
  if (known === "stopping") return "released";
  if (known === "unreadable") return deps.putAside.event(envelope, handed, known);
  if (known.unreadable !== undefined) return fanOutBeside(deps, envelope, known, handed, each);
  const { matched, record } = fanOut(deps, envelope, known, handed);
  // One endpoint matched and none was filtered: the delivery's own record will say as much.
  if (matched.length !== 1 || record.filteredCount > 0)
    deps.settlements.record([{ kind: "fan-out", fanOut: record, envelope }]);
  const [first] = matched;
  weigh(Math.max(1, matched.length));
  if (first === undefined) return "settled";
  if (matched.length === 1) return each(first);
  let left = matched.length;
  const endings = matched.map(async (endpoint) => {
    const ending = await each(endpoint);
    left -= 1;
    if (left > 0) weigh(left);
    return ending;
  });
  return (await Promise.all(endings)).every((ending) => ending === "settled") ? "settled" : "released";
}

/**
 * Some of the tenant's endpoints do not read back. Whether they subscribe to the event is not known, so a delivery to each of
 * them waits until it is; the others have theirs now.
 */
async function fanOutBeside(
  deps: Deps,
  envelope: Envelope,
  known: TenantEndpoints,
  handed: Handed,
  each: Each,
): Promise<Ending> {
  const { unreadable = [] } = known;
  const { matched, record } = fanOut(deps, envelope, known, handed);
  handed.weigh(matched.length + unreadable.length);
  deps.settlements.record([{ kind: "fan-out", fanOut: record, envelope }]);
  const aside = unreadable.map((id) => deps.putAside.delivery(firstDelivery(envelope, { id }, true), "unreadable"));
  const endings = await Promise.all([...matched.map(each), ...aside]);
  return endings.every((ending) => ending === "settled") ? "settled" : "released";
}

function fanOut(deps: Deps, envelope: Envelope, { endpoints }: TenantEndpoints, { isRepeat }: Handed): FannedOut {
  const startMs = deps.clock.now();
  const done = deps.fanOut(envelope, endpoints, startMs);
  const { matchedCount, filteredCount } = done.record;
  deps.trace.fannedOut({ envelope, startMs, matchedCount, filteredCount, isRepeat });
  return done;
}

type Each = (endpoint: Endpoint) => Promise<Ending>;
type Deps = DeliverEventDeps & { readonly read: Read; readonly fanOut: FanOutOf };

/** The first attempt at one endpoint, alone or in a batch of LOW events where the endpoint takes batches. */
function deliverFirst(
  deps: DeliverEventDeps,
  envelope: Envelope,
  endpoint: Endpoint,
  isRepeat: boolean,
): Promise<Ending> {
  const delivery: PendingDelivery = firstDelivery(envelope, endpoint, isRepeat);
  const run = (): Promise<Ending> =>
    delivery.lane === "low" && endpoint.batch !== null
      ? deps.groups.add(envelope, endpoint, isRepeat)
      : deps.run.first(delivery, endpoint);
  return isRepeat ? deps.completed.unless(delivery, ANYTHING, run) : run();
}
