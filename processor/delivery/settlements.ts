/**
 * Collects what settled deliveries leave to write: ledger entries, counts and acks, in order, for a few milliseconds or
 * until enough came together. An ack waits for the ledger entries before it, and for the end of dead letters, so that a crash
 * between the two leaves no event that was delivered and shows as pending, or dead. One durable commit then serves many deliveries; without it each answer would cost its
 * own (measured on SQLite: 1,200 deliveries a second without, see bench/deliver with). A crash repeats what was still
 * here, at most `SETTLEMENTS_MAX` deliveries of the last `LINGER_MS`, and loses nothing.
 */
import type { Cancel, Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Ledger, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { DeliveredSince } from "@posthaste/shared/ports/dead-letters.ts";
import type { StatEntry, Stats } from "@posthaste/shared/ports/stats.ts";
import type { Tail } from "@posthaste/shared/ports/tail.ts";
import type { DeadLetterEnds } from "./dead-letter-ends.ts";
import type { UntilStored } from "./until-stored.ts";
import { laneOf } from "@posthaste/shared/domain/envelope.ts";
import { deliveryEntry } from "@posthaste/shared/ports/tail.ts";

export const LINGER_MS = 20;
export const SETTLEMENTS_MAX = 512;

export interface Acknowledges<Item> {
  ack(items: readonly Item[]): Promise<void>;
}

export interface Settlements {
  record(entries: readonly LedgerEntry[]): void;
  count(entries: readonly StatEntry[]): void;
  /** Behind what was recorded of them: their dead letters end. */
  delivered(deliveries: readonly DeliveredSince[]): void;
  /** `then` is called when the ack is durable, or when we stopped before it could be. */
  ack<Item>(queue: Acknowledges<Item>, item: Item, then: () => void): void;
  /** Writes what waits now. */
  flush(): void;
}

interface Acks {
  readonly items: unknown[];
  readonly thens: (() => void)[];
}

export function createSettlements(deps: {
  clock: Clock;
  ledger: Pick<Ledger, "record" | "recorded">;
  stats: Pick<Stats, "add">;
  tail: Pick<Tail, "isWatched" | "publish">;
  deadLetterEnds: DeadLetterEnds;
  untilStored: UntilStored;
}): Settlements {
  let entries: LedgerEntry[] = [];
  let delivered: DeliveredSince[] = [];
  let counts: StatEntry[] = [];
  let acks = new Map<Acknowledges<unknown>, Acks>();
  let waiting = 0;
  let timer: Cancel | null = null;
  const write = async (queue: Acknowledges<unknown>, { items, thens }: Acks, ended: Promise<void> | null) => {
    await deps.ledger.recorded();
    if (ended !== null) await ended;
    await deps.untilStored("ack", () => queue.ack(items));
    for (const then of thens) then();
  };

  const flush = () => {
    timer?.();
    timer = null;
    const due = { entries, delivered, counts, acks };
    entries = [];
    delivered = [];
    counts = [];
    acks = new Map();
    waiting = 0;
    if (due.entries.length > 0) deps.ledger.record(due.entries);
    const ended = due.delivered.length === 0 ? null : deps.deadLetterEnds.end(due.delivered);
    tellTail(deps.tail, due.entries);
    if (due.counts.length > 0) deps.stats.add(due.counts);
    for (const [queue, bundle] of due.acks) void write(queue, bundle, ended);
  };

  const arm = () => {
    waiting += 1;
    if (waiting >= SETTLEMENTS_MAX) flush();
    else timer ??= deps.clock.timer(LINGER_MS, flush);
  };

  return {
    flush,
    record(more) {
      entries.push(...more);
      arm();
    },
    count(more) {
      counts.push(...more);
    },
    delivered(more) {
      delivered.push(...more);
      arm();
    },
    ack(queue, item, then) {
      // One buffer serves queues of different items; each gets back only what it gave.
      const key = queue as Acknowledges<unknown>;
      let bundle = acks.get(key);
      if (bundle === undefined) {
        bundle = { items: [], thens: [] };
        acks.set(key, bundle);
      }
      bundle.items.push(item);
      bundle.thens.push(then);
      arm();
    },
  };
}

/** Of deliveries that somebody watches. */
function tellTail(tail: Pick<Tail, "isWatched" | "publish">, entries: readonly LedgerEntry[]): void {
  const watched = entries.flatMap((entry) => {
    if (entry.kind !== "delivery" || entry.envelope === undefined) return [];
    return tail.isWatched(entry.envelope.tenant) ? [deliveryEntry(entry.delivery, laneOf(entry.envelope))] : [];
  });
  if (watched.length > 0) tail.publish(watched);
}
