/**
 * Brings back what was held for an endpoint (paused, disabled, backlog) when it is active again: from the dead-letter
 * record to the retry queue, spread at a bounded rate. Scheduled first, removed second: a crash in between repeats a
 * delivery that the ledger recognises, and loses none.
 */
import type { DeadLetter, DeadLetters } from "@posthaste/shared/ports/dead-letters.ts";
import type { RetryQueue, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { EndpointTelemetry } from "@posthaste/shared/telemetry/endpoint.ts";
import type { EndpointLookup } from "./endpoint-lookup.ts";
import type { Persist } from "./persistence.ts";
import { HELD_STATES } from "@posthaste/shared/domain/delivery.ts";

const PAGE = 500;

export interface Recovery {
  /** Looks whether the endpoint is active and, if so, brings back what is held for it. Runs once at a time for each. */
  recover(tenant: string, endpointId: string): Promise<void>;
  /** Does so for every endpoint that has something held; for a start after a crash. */
  recoverAll(signal: AbortSignal): Promise<void>;
}

export interface RecoveryDeps {
  readonly clock: Clock;
  readonly deadLetters: DeadLetters;
  readonly retryQueue: RetryQueue;
  readonly lookup: EndpointLookup;
  readonly persist: Persist;
  readonly perS: number;
  readonly telemetry: EndpointTelemetry;
}

export function createRecovery(deps: RecoveryDeps): Recovery {
  /** Endpoints being recovered; true: look again afterwards. */
  const running = new Map<string, boolean>();

  const recover = async (tenant: string, endpointId: string) => {
    if (running.has(endpointId)) {
      running.set(endpointId, true);
      return;
    }
    try {
      do {
        running.set(endpointId, false);
        const endpoint = await deps.lookup.find(tenant, endpointId);
        if (endpoint?.status === "active") await bringBack(deps, tenant, endpointId);
      } while (running.get(endpointId) === true);
    } finally {
      running.delete(endpointId);
    }
  };

  return {
    recover: async (tenant, endpointId) => {
      await deps.persist("recover", () => recover(tenant, endpointId));
    },
    recoverAll: async (signal) => {
      for (const state of HELD_STATES) {
        let cursor: string | null = null;
        do {
          const page = await deps.deadLetters.list({ tenant: null, state }, PAGE, cursor);
          const owners = new Map(page.rows.map(({ tenant, endpointId }) => [endpointId, tenant]));
          for (const [endpointId, tenant] of owners) await recover(tenant, endpointId);
          cursor = page.next;
        } while (cursor !== null && !signal.aborted);
      }
    },
  };
}

async function bringBack(deps: RecoveryDeps, tenant: string, endpointId: string): Promise<void> {
  let count = 0;
  const startMs = deps.clock.now();
  for (const state of HELD_STATES) {
    for (;;) {
      const { rows } = await deps.deadLetters.list({ tenant, endpointId, state }, PAGE, null);
      if (rows.length === 0) break;
      const spacingMs = 1000 / deps.perS;
      await deps.retryQueue.schedule(
        rows.toReversed().map((letter, index) => again(letter, startMs + Math.floor((count + index) * spacingMs))),
      );
      // Repeated by itself: to schedule all of them again for a removal that failed would deliver all of them again.
      if (!(await deps.persist("remove held", () => deps.deadLetters.remove(rows.map(({ id }) => id))))) return;
      count += rows.length;
    }
  }
  if (count > 0) deps.telemetry.recovered(endpointId, tenant, count);
}

/** The delivery goes on where it stood: the same generation, the attempt that was to be made. */
function again(letter: DeadLetter, notBeforeMs: number): Scheduled {
  return {
    cause: "replay",
    notBeforeMs,
    endpointId: letter.endpointId,
    generation: letter.generation,
    attempt: letter.attempts + 1,
    parks: 0,
    members: [letter.envelope],
    group: null,
  };
}
