/**
 * The tickets that this process holds, and the heartbeat that keeps their leases alive and reaps those of processes
 * that died. One script a shard and beat while nothing is held, one more for each thousand tickets.
 * What is held longer than `holdMsMax` is renewed no more: another process gets it then, as a repeat.
 */
import type { Cancel, Clock, Entropy } from "../../../lib/ambient.ts";
import { CALL_ITEMS_MAX } from "./scripts.ts";

/** A worker that is silent for so long is taken for dead. */
export const LEASE_MS = 30_000;
/** Two beats may fail before a lease runs out. */
const BEATS_PER_LEASE = 3;
/** After a beat that failed the next one follows sooner. */
const SOONER = 4;

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
  readonly holdMsMax: number;
  /** Renews these tickets, at most `CALL_ITEMS_MAX` of them, and reaps. */
  readonly beat: (shard: number, tickets: readonly string[]) => Promise<void>;
  readonly onFault: (error: unknown) => void;
}): LeaseKeeper {
  const { clock, entropy, leaseMs, holdMsMax, beat, onFault } = options;
  const heldByShard = Array.from({ length: options.shards }, () => new Map<string, number>());
  const beatMs = leaseMs / BEATS_PER_LEASE;
  let cancel: Cancel | null = null;
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  /** Up to a fifth earlier, so that the processes of a deployment do not beat together. */
  function arm(ms: number): void {
    if (stopping.signal.aborted) return;
    cancel = clock.timer(ms * (1 - entropy.fraction() / 5), () => {
      running = beatAll().then((isWell) => arm(isWell ? beatMs : beatMs / SOONER));
    });
  }
  async function beatAll(): Promise<boolean> {
    const results = await Promise.allSettled(heldByShard.map((held, shard) => beatShard(held, shard)));
    for (const result of results) if (result.status === "rejected") onFault(result.reason);
    return results.every(({ status }) => status === "fulfilled");
  }

  async function beatShard(held: Map<string, number>, shard: number): Promise<void> {
    const tooOld = clock.monotonic() - holdMsMax;
    for (const [ticket, takenAt] of held) {
      if (takenAt > tooOld) break;
      held.delete(ticket);
    }
    const tickets = [...held.keys()];
    let from = 0;
    do {
      // Waits for each call: in order of taking, so that deadlines have that order, too.
      await beat(shard, tickets.slice(from, from + CALL_ITEMS_MAX));
      from += CALL_ITEMS_MAX;
    } while (from < tickets.length && !stopping.signal.aborted);
  }

  return {
    start() {
      if (cancel === null) arm(beatMs);
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
