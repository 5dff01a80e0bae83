/**
 * Brings back what was held for an endpoint (paused, disabled, backlog) when it is active again, or gone. Dead letters go to the
 * retry queue, spread at a bounded rate. Scheduled first, removed second: a crash in between repeats a delivery, which
 * the ledger recognises, and loses none.
 */
import type { DeadLetter, DeadLetterFilter, DeadLetters } from "@posthaste/shared/ports/dead-letters.ts";
import type { Directory } from "@posthaste/shared/ports/directory.ts";
import type { Leases } from "@posthaste/shared/ports/leases.ts";
import { heldLettersLease } from "@posthaste/shared/ports/leases.ts";
import type { RetryQueue, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { EndpointTelemetry } from "@posthaste/shared/telemetry/endpoint.ts";
import type { UntilStored } from "../delivery/until-stored.ts";
import { HELD_STATES } from "@posthaste/shared/domain/delivery.ts";
import { PosthasteError, isDamage } from "@posthaste/shared/domain/errors.ts";
import type { EndWaitingDeps } from "./end-waiting.ts";
import { endWaiting } from "./end-waiting.ts";
import { forEachHeldEndpoint } from "./held-endpoints.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";

/** Dead letters read at once, with bodies. Between two pages others get a turn: a store may be synchronous. */
const PAGE = 50;
/** Bodies that go to the retry queue in one write; one dead letter goes, however large. */
const PAGE_BYTES = 4 * 1024 * 1024;
/** A lease covers one page. */
const LEASE_MS = 15_000;
/** How often to ask whether another process is done with an endpoint's dead letters. */
const LEASE_AGAIN_MS = 1000;
const HOLDER_BYTES = 8;
/** Endpoints with a loop of their own. A further one is looked for at its next announcement and at the next start. */
const UNREADABLE_MAX = 1000;

export interface Recovery {
  /**
   * Brings back what is held for the endpoint if it is active, or was deleted. Runs once at a time for each. Ends, too, when
   * the endpoint's record does not read back: it is asked for again and again, and nobody waits for it.
   */
  recover(tenant: string, endpointId: string): Promise<void>;
  /** Does so for every endpoint that has something held: at the start, and after announcements may have been lost. */
  recoverAll(signal: AbortSignal): Promise<void>;
  /**
   * Resolves when none of these dead letters is between its return to the retry queue and its removal from the record.
   * Wait for it before the same delivery is recorded again: the removal would take the new dead letter for the old one.
   */
  whenOut(deadLetterIds: readonly string[]): Promise<void>;
}

export interface RecoveryDeps extends EndWaitingDeps {
  readonly entropy: Entropy;
  readonly deadLetters: DeadLetters;
  readonly retryQueue: RetryQueue;
  /** On the dead letters of one endpoint: all processes hear at once that it is active again. */
  readonly leases: Leases;
  readonly directory: Pick<Directory, "find" | "endpoints">;
  /** False: we stopped before it was stored. */
  readonly untilStored: UntilStored;
  readonly perS: number;
  readonly telemetry: EndpointTelemetry;
}

export function createRecovery(deps: RecoveryDeps): Recovery {
  /** Endpoints being recovered; true: look again afterwards. */
  const running = new Map<string, boolean>();
  const leaving: Leaving = new Map();
  const holder = Buffer.from(deps.entropy.bytes(HOLDER_BYTES)).toString("hex");

  const recover = async (tenant: string, endpointId: string) => {
    if (running.has(endpointId)) {
      running.set(endpointId, true);
      return;
    }
    try {
      do {
        running.set(endpointId, false);
        await bringBack({ ...deps, leaving, holder }, tenant, endpointId);
      } while (running.get(endpointId) === true);
    } finally {
      running.delete(endpointId);
    }
  };

  /** Each has a loop of its own until it can be read: whoever looks after many goes on with the others. */
  const unreadable = new Set<string>();
  const recoverOrAskOn = async (tenant: string, endpointId: string): Promise<void> => {
    if (unreadable.has(endpointId)) return;
    await recover(tenant, endpointId).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      if (unreadable.size >= UNREADABLE_MAX) return;
      unreadable.add(endpointId);
      void deps.untilStored("recover", () => recover(tenant, endpointId)).finally(() => unreadable.delete(endpointId));
    });
  };

  return {
    whenOut: async (deadLetterIds) => {
      for (const id of deadLetterIds) await leaving.get(id);
    },
    recover: async (tenant, endpointId) => {
      await deps.untilStored("recover", () => recoverOrAskOn(tenant, endpointId));
    },
    recoverAll: (signal) => {
      const filters = HELD_STATES.map((state) => ({ tenant: null, state }));
      return forEachHeldEndpoint({ ...deps, work: recoverOrAskOn }, filters, signal);
    },
  };
}

/** Lets everybody else go first; returns at once after a stop. */
async function yieldTurn(clock: Clock, signal: AbortSignal): Promise<void> {
  await clock.sleep(0, signal).catch(() => undefined);
}

/** Dead letters on their way out of the record, each with what ends when it is out, or when that was given up. */
type Leaving = Map<string, Promise<void>>;

interface Bringing extends RecoveryDeps {
  readonly leaving: Leaving;
  /** This process, among those that may hold a lease. */
  readonly holder: string;
}

/**
 * Page by page, while the endpoint is active: its owner may pause it again meanwhile. What was held for an endpoint that
 * was deleted goes the same way and ends there as dead, with the reason; else it would be held for good. What waits for it ends, too.
 */
async function bringBack(deps: Bringing, tenant: string, endpointId: string): Promise<void> {
  let count = 0;
  let standing: Standing = "active";
  const startMs = deps.clock.now();
  const spacingMs = 1000 / deps.perS;
  for (const state of HELD_STATES) {
    const filter = { tenant, endpointId, state };
    let place: Place | null = { cursor: null };
    while (!isAborted(deps.signal)) {
      standing = await standingOf(deps, tenant, endpointId);
      if (standing === "holding back") break;
      place = await seekHeld(deps, filter, place.cursor);
      if (place === null) break;
      await using lease = await takeLease(deps, endpointId);
      if (lease === null) break;
      const page = await deps.deadLetters.list(filter, PAGE, place.cursor);
      const deadLetters = upToBytes(page.rows, PAGE_BYTES);
      const firstMs = startMs + count * spacingMs;
      const items = deadLetters
        .toReversed()
        .map((deadLetter, index) => again(deadLetter, Math.floor(firstMs + index * spacingMs)));
      if (deadLetters.length > 0 && !(await move(deps, deadLetters, items))) return;
      count += deadLetters.length;
      await yieldTurn(deps.clock, deps.signal);
    }
  }
  if (standing === "deleted") await endWaiting(deps, tenant, endpointId);
  else if (count > 0) deps.telemetry.recovered(endpointId, tenant, count);
}

type Standing = "active" | "deleted" | "holding back";

/** The page behind this cursor has a dead letter that is held. */
interface Place {
  readonly cursor: string | null;
}

/**
 * Looks on from the cursor, and then once from the newest, as more may have come meanwhile; null when there is nothing.
 * A page without rows is not the end: a store looks at so many dead letters of other states at once and no more.
 */
async function seekHeld(deps: Bringing, filter: DeadLetterFilter, from: string | null): Promise<Place | null> {
  let cursor = from;
  let isWhole = from === null;
  while (!isAborted(deps.signal)) {
    const page = await deps.deadLetters.list(filter, 1, cursor);
    if (page.rows.length > 0) return { cursor };
    if (page.next === null && isWhole) return null;
    isWhole ||= page.next === null;
    cursor = page.next;
    await yieldTurn(deps.clock, deps.signal);
  }
  return null;
}

/**
 * Waits while another process brings back dead letters of this endpoint: two at once would schedule each twice. A holder
 * that died is waited for until its lease ends. Null when we stopped.
 */
async function takeLease(
  { leases, holder, clock, signal }: Bringing,
  endpointId: string,
): Promise<AsyncDisposable | null> {
  const name = heldLettersLease(endpointId);
  while (!isAborted(signal)) {
    const lease = await leases.acquire(name, holder, LEASE_MS);
    // A release that fails costs others a wait: the lease ends by itself.
    const release = (): Promise<void> => leases.release(name, holder).catch(() => undefined);
    if (lease.kind === "acquired") return { [Symbol.asyncDispose]: release };
    await clock.sleep(Math.min(lease.retryAfterMs, LEASE_AGAIN_MS), signal).catch(() => undefined);
  }
  return null;
}

/** False when we stopped before the dead letters were out. */
async function move(deps: Bringing, deadLetters: readonly DeadLetter[], items: readonly Scheduled[]): Promise<boolean> {
  const ids = deadLetters.map(({ id }) => id);
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const id of ids) deps.leaving.set(id, promise);
  try {
    const { kind } = await deps.retryQueue.schedule(items);
    // Who called us waits and tries again; the dead letters stay where they are.
    if (kind === "full") throw new PosthasteError("overloaded", "The retry queue is full.");
    // Repeated by itself: to schedule all of them again for a removal that failed would deliver all of them again.
    const removed = await deps.untilStored("remove held", () => deps.deadLetters.remove(deadLetters));
    return removed.kind === "done";
  } finally {
    for (const id of ids) deps.leaving.delete(id);
    resolve();
  }
}

/** By the directory itself: a memory that is behind would leave dead letters lying that nobody looks for again. */
async function standingOf({ directory }: RecoveryDeps, tenant: string, endpointId: string): Promise<Standing> {
  const endpoint = await directory.find(tenant, endpointId);
  if (endpoint === null) return "deleted";
  return endpoint.status === "active" ? "active" : "holding back";
}

/** The first dead letters whose bodies together stay within `bytesMax`, and one at least. */
function upToBytes(deadLetters: readonly DeadLetter[], bytesMax: number): readonly DeadLetter[] {
  let bytes = 0;
  const end = deadLetters.findIndex(({ envelope }, index) => {
    bytes += envelope.body.length;
    return index > 0 && bytes > bytesMax;
  });
  return end === -1 ? deadLetters : deadLetters.slice(0, end);
}

/** The delivery goes on where it stood: the same generation, the attempt that was to be made, never before its time. */
function again(deadLetter: DeadLetter, earliestMs: number): Scheduled {
  return scheduledEvent(deadLetter.envelope, {
    cause: "replay",
    notBeforeMs: Math.max(earliestMs, deadLetter.envelope.deliverAtMs ?? 0),
    endpointId: deadLetter.endpointId,
    generation: deadLetter.generation,
    attempt: deadLetter.attempts + 1,
  });
}
