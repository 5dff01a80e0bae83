/**
 * The tickets that this process holds, and the heartbeat that says it is there, keeps their leases alive and reaps what
 * absent processes held. One script a shard and beat; every tenth renews leases, a thousand tickets to a script.
 * What is held longer than `holdMsMax` is renewed no more: another process gets it then, as a repeat.
 */
import type { Cancel, Clock, Entropy } from "../../../lib/ambient.ts";
import { CALL_ITEMS_MAX } from "./scripts.ts";

/**
 * A process that is silent for so long is taken for dead, as Kafka takes it after six seconds. A pause of four seconds,
 * as of a garbage collector or a machine under load, is none: the last beat was a second before it at most.
 */
export const PRESENCE_MS = 5000;
const BEATS_PER_PRESENCE = 5;
/** For what outlives its holder's presence: taken in a pause of its beats, or by a process of before presence was told. */
export const LEASE_MS = 30_000;
/** Two renewals may fail before a lease runs out. */
const RENEWALS_PER_LEASE = 3;

export interface LeaseKeeper {
  /** Begins to beat; further calls do nothing. */
  start(): void;
  /** No beat follows; resolves when none is under way. Leases that are left run out by themselves. */
  stop(): Promise<void>;
  hold(shard: number, tickets: readonly string[]): void;
  /** Acknowledged or released: nothing to renew any more. */
  forget(shard: number, ticket: string): void;
  heldCount(): number;
}

export function createLeaseKeeper(options: {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly shards: number;
  readonly leaseMs: number;
  readonly presenceMs: number;
  readonly holdMsMax: number;
  /** Says that we are there, renews these tickets, at most `CALL_ITEMS_MAX` of them, and reaps. */
  readonly beat: (shard: number, tickets: readonly string[]) => Promise<void>;
  readonly onFault: (error: unknown) => void;
}): LeaseKeeper {
  const { clock, entropy, leaseMs, holdMsMax, beat, onFault } = options;
  const heldByShard = Array.from({ length: options.shards }, () => new Map<string, number>());
  const beatMs = options.presenceMs / BEATS_PER_PRESENCE;
  /** By the monotonic clock; of the first renewal that is due. */
  let renewalAtMs = -Infinity;
  let cancel: Cancel | null = null;
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  /** Up to a fifth earlier, so that the processes of a deployment do not beat together. */
  function arm(): void {
    if (stopping.signal.aborted) return;
    cancel = clock.timer(beatMs * (1 - entropy.fraction() / 5), () => {
      running = beatAll().then(arm);
    });
  }
  async function beatAll(): Promise<void> {
    const startedAtMs = clock.monotonic();
    const isRenewal = startedAtMs >= renewalAtMs;
    const results = await Promise.allSettled(heldByShard.map((held, shard) => beatShard(held, shard, isRenewal)));
    let isWell = true;
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      isWell = false;
      onFault(result.reason);
    }
    // A beat less, since the next one may come up to a beat too late for the time.
    if (isRenewal && isWell) renewalAtMs = startedAtMs + leaseMs / RENEWALS_PER_LEASE - beatMs;
  }

  async function beatShard(held: Map<string, number>, shard: number, isRenewal: boolean): Promise<void> {
    const tooOld = clock.monotonic() - holdMsMax;
    for (const [ticket, takenAt] of held) {
      if (takenAt > tooOld) break;
      held.delete(ticket);
    }
    const tickets = isRenewal ? [...held.keys()] : [];
    let from = 0;
    do {
      // Waits for each call: in order of taking, so that deadlines have that order, too.
      await beat(shard, tickets.slice(from, from + CALL_ITEMS_MAX));
      from += CALL_ITEMS_MAX;
    } while (from < tickets.length && !stopping.signal.aborted);
  }

  return {
    start() {
      if (cancel === null) arm();
    },
    async stop() {
      stopping.abort();
      cancel?.();
      await running;
    },
    hold(shard, tickets) {
      const takenAt = clock.monotonic();
      for (const ticket of tickets) heldByShard[shard]?.set(ticket, takenAt);
    },
    forget(shard, ticket) {
      heldByShard[shard]?.delete(ticket);
    },
    heldCount: () => heldByShard.reduce((sum, held) => sum + held.size, 0),
  };
}
