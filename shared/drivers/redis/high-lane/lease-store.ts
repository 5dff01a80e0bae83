/** The scripts of a lane as calls for one shard each, with their bounds and in the types of the domain. */
import { assert } from "../../../lib/assert.ts";
import type { Envelope } from "../../../domain/envelope.ts";
import type { Depth } from "../../../ports/lanes.ts";
import { eventName } from "./append.ts";
import {
  CALL_ITEMS_MAX,
  REPEAT_MARK,
  ackScript,
  beatScript,
  depthScript,
  laneKeys,
  noteScript,
  releaseScript,
  takeBackScript,
  takeScript,
} from "./scripts.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { RedisArgument, RedisCommands } from "../client/redis-commands.ts";
import { listOf } from "../client/reply.ts";

/** How long the doorbell's connection blocks in one call. */
export const BLOCK_MS = 5000;
/** How long an event that was acknowledged is known; older ones are for the ledger to know. */
export const KNOWN_MS = 3600 * 1000;
/** Known ones of a shard that were acknowledged; past it those of the earliest ack are forgotten. */
export const KNOWN_MAX = 200_000;
/** Items and bytes of one take. */
const TAKE_ITEMS_MAX = 1000;
const TAKE_BYTES_MAX = 4 * 1024 * 1024;
/** Items that one beat reaps on a shard. */
const REAP_MAX = 1000;
/** As `takeScript` writes them. */
const TICKET_DIGITS = 12;

/** An element, held under its ticket. */
export interface Leased {
  readonly ticket: string;
  /** As `append` packed it. */
  readonly packed: Uint8Array;
  readonly isRepeat: boolean;
}

export interface Acknowledged {
  readonly ticket: string;
  /** Null for poison, which has no name. */
  readonly envelope: Envelope | null;
  /** Of the packed envelope. */
  readonly bytes: number;
}

export interface LeaseStore {
  /** Says that this holder is present, and puts back what a take took whose answer was lost. Before a shard is first asked, and after a failure. */
  open(shard: number): Promise<void>;
  /** A turn for each tenant that is not unwanted, oldest first within it; none when there is none. */
  take(shard: number, max: number, unwanted: readonly string[]): Promise<readonly Leased[]>;
  /** Thousand by thousand; what is not held any more is passed over. */
  ack(shard: number, items: readonly Acknowledged[]): Promise<void>;
  release(shard: number, tickets: readonly string[]): Promise<void>;
  /** Says that this holder is present, renews the leases of at most `CALL_ITEMS_MAX` tickets, and reaps. */
  beat(shard: number, tickets: readonly string[]): Promise<void>;
  /** True when a tenant has something, also one that is unwanted; false after `BLOCK_MS`, or when `signal` was aborted. */
  listen(shard: number, signal: AbortSignal): Promise<boolean>;
  depth(shard: number): Promise<Depth>;
  note(shard: number, envelopes: readonly Envelope[]): Promise<void>;
}

export function createLeaseStore(options: {
  readonly commands: RedisCommands;
  readonly keys: KeySpace;
  /** Part of the keys' names. */
  readonly name: string;
  /** Unique among all processes that ever held something. */
  readonly holder: string;
  readonly leaseMs: number;
  /** How long a holder counts as present after a beat. */
  readonly presenceMs: number;
}): LeaseStore {
  const { commands, name, holder, leaseMs, presenceMs } = options;
  const keysByShard = Array.from({ length: options.keys.shards }, (_, shard) => laneKeys(options.keys, shard, name));
  let ticketCount = 0;
  /** By shard: tickets of the last take, which got no answer. They may be held, and nobody would give them back. */
  const unanswered = new Map<number, { readonly first: number; readonly count: number }>();

  function keysOf(shard: number) {
    const keys = keysByShard[shard];
    assert(keys !== undefined, "a shard is one of the key space");
    return keys;
  }

  async function beat(shard: number, tickets: readonly string[]): Promise<void> {
    const { list, turns, fresh, bell, held, leases, holders, kept } = keysOf(shard);
    const head = [leaseMs, REAP_MAX, holder, presenceMs];
    await commands.run(beatScript, [list, turns, fresh, bell, held, leases, holders, kept], [...head, ...tickets]);
  }

  return {
    async open(shard) {
      await beat(shard, []);
      const lost = unanswered.get(shard);
      if (lost === undefined) return;
      const { list, turns, fresh, bell, held, leases } = keysOf(shard);
      await commands.run(takeBackScript, [list, turns, fresh, bell, held, leases], [holder, lost.first, lost.count]);
      unanswered.delete(shard);
    },
    async take(shard, max, unwanted) {
      const { list, turns, fresh, bell, held, leases } = keysOf(shard);
      const count = Math.min(max, TAKE_ITEMS_MAX);
      const first = ticketCount;
      // Given away before the call: a number is never used again, not even when the answer is lost.
      ticketCount += count;
      unanswered.set(shard, { first, count });
      const reply = await commands.run(
        takeScript,
        [list, turns, fresh, bell, held, leases],
        [holder, first, count, TAKE_BYTES_MAX, leaseMs, ...unwanted],
      );
      unanswered.delete(shard);
      const leased: Leased[] = [];
      for (const turn of listOf(reply)) {
        const [tenantName, ...elements] = listOf(turn);
        assert(tenantName instanceof Uint8Array, "a turn begins with its tenant");
        const tenant = Buffer.from(tenantName).toString();
        for (const element of elements) leased.push(leasedOf(element, ticketOf(holder, first + leased.length, tenant)));
      }
      return leased;
    },
    async ack(shard, items) {
      const { list, turns, fresh, bell, held, leases, kept, known, tally } = keysOf(shard);
      for (const part of partsOf(items)) {
        const args: RedisArgument[] = [name, KNOWN_MS, KNOWN_MAX];
        for (const { ticket, envelope, bytes } of part) {
          args.push(ticket, envelope === null ? "" : eventName(envelope), bytes);
        }
        await commands.run(ackScript, [list, turns, fresh, bell, held, leases, kept, known, tally], args);
      }
    },
    async release(shard, tickets) {
      const { list, turns, fresh, bell, held, leases } = keysOf(shard);
      // Those taken last go first, so that the whole is at the head in its old order.
      const parts = [...partsOf(tickets.toSorted())].toReversed();
      for (const part of parts) await commands.run(releaseScript, [list, turns, fresh, bell, held, leases], part);
    },
    beat,
    listen: (shard, signal) => commands.waitForList(keysOf(shard).bell, BLOCK_MS, signal),
    async depth(shard) {
      const { list, turns, fresh, held, kept } = keysOf(shard);
      const [count, oldestAtMs] = numbersOf(await commands.run(depthScript, [list, turns, fresh, held, kept], []));
      return { count: count ?? 0, oldestAtMs: oldestAtMs ?? null };
    },
    async note(shard, envelopes) {
      const { kept, known } = keysOf(shard);
      for (const part of partsOf(envelopes)) {
        await commands.run(noteScript, [kept, known], [KNOWN_MS, ...part.map(eventName)]);
      }
    },
  };
}

function ticketOf(holder: string, number: number, tenant: string): string {
  return `${holder}:${String(number).padStart(TICKET_DIGITS, "0")}:${tenant}`;
}

function leasedOf(element: unknown, ticket: string): Leased {
  assert(element instanceof Uint8Array, "an element of a lane is bytes");
  const isRepeat = element[0] === REPEAT_MARK;
  // A copy, because a reply's memory is shared by all that arrived with it and would stay until the last of it is done.
  return { ticket, packed: new Uint8Array(isRepeat ? element.subarray(1) : element), isRepeat };
}

/** A reply that is a list of numbers, some as text; nil is left out at the end. */
function numbersOf(reply: unknown): readonly (number | undefined)[] {
  assert(Array.isArray(reply), "the script answers with a list");
  return reply.map((value: unknown) => (value === null || value === undefined ? undefined : Number(value)));
}

function* partsOf<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let from = 0; from < items.length; from += CALL_ITEMS_MAX) yield items.slice(from, from + CALL_ITEMS_MAX);
}
