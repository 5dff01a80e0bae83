/**
 * A lane on Redis: a list of packed envelopes for each tenant, leases for what was taken, a doorbell for those who wait.
 * Tenants are served in turn. Each step is one script, so a crash at any line leaves an item in its list or held under a
 * lease that runs out; nothing polls, unless tenants are left out.
 *
 * At least once. The order is that of `append` within a tenant, but for what comes back to the head. With one shard an
 * append is all or nothing; with more each shard's part is. It resolves when Redis answered: as durable as its settings.
 * An event is known while it is kept and for `KNOWN_MS` after its ack, and is not appended twice.
 */
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { Envelope } from "../../../domain/envelope.ts";
import { unpackEnvelope } from "../../../domain/envelope-record.ts";
import type { Lane } from "../../../domain/event.ts";
import { encodeHex } from "../../../domain/hex.ts";
import type { Depth, LaneItem } from "../../../ports/lanes.ts";
import { everyShard } from "../client/every-shard.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { LaneBounds } from "./append.ts";
import { byShard, createLaneAppend } from "./append.ts";
import { createDiscards } from "./discards.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { LEASE_MS, PRESENCE_MS, createLeaseKeeper } from "./lease-keeper.ts";
import { createLeaseLoops } from "./lease-loops.ts";
import type { LeaseStore, Leased } from "./lease-store.ts";
import { createLeaseStore } from "./lease-store.ts";
import type { RedisCommands } from "../client/redis-commands.ts";

/** What one process holds; from there on `take` waits for an ack, and a take that is under way may pass it. */
export const HELD_MAX = 100_000;
/** What is held longer is another's to do. */
export const HOLD_MS_MAX = 3600 * 1000;
const HOLDER_BYTES = 10;
/** While tenants are left out the others are looked for so often. */
const LEFT_OUT_LOOK_MS = 10;

export interface HighLane extends AsyncDisposable {
  /** Appends to this lane whatever an envelope's priority says. Rejects with `overloaded`: nothing is kept. */
  append(envelopes: readonly Envelope[]): Promise<void>;
  /** As the port says; a Redis that cannot be reached is waited for. Those who wait at disposal get none. */
  take(max: number, signal: AbortSignal): Promise<readonly LaneItem[]>;
  /** From now on nothing of these tenants is taken, and all of others, until it is called again. None at the start. */
  leaveOut(tenants: readonly string[]): void;
  /** When it rejects, items may come again as repeats once their leases ran out. */
  ack(items: readonly LaneItem[]): Promise<void>;
  /** When it rejects, items come again later, as repeats. */
  release(items: readonly LaneItem[]): Promise<void>;
  depth(): Promise<Depth>;
  /** Events that entered by another door: within `KNOWN_MS` an append is kept, as a repeat. */
  note(envelopes: readonly Envelope[]): Promise<void>;
}

export interface HighLaneOptions {
  readonly commands: RedisCommands;
  readonly keys: KeySpace;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Read at each append. */
  readonly bounds: LaneBounds;
  /** Gets what does not unpack. That is removed once this resolved, and comes again when it rejected. */
  readonly onPoison: (bytes: Uint8Array, reason: string) => void | Promise<void>;
  /** Gets failures that cost only time: of a take, a doorbell, a heartbeat. Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** Part of the keys' names, and what items say; `high`. Lanes of different names share the bounds. */
  readonly lane?: Lane;
  /** The part of the bounds that may be full when this lane appends; 1. */
  readonly share?: number;
  /** What was taken and is not renewed goes to others after this; `LEASE_MS`. */
  readonly leaseMs?: number;
  /** What a holder has that is silent for so long goes to others; `PRESENCE_MS`. */
  readonly presenceMs?: number;
}

interface Handle {
  readonly shard: number;
  readonly ticket: string;
  readonly bytes: number;
}

export function createRedisHighLane(options: HighLaneOptions): HighLane {
  const { keys } = options;
  const parts = assemble(options);
  const { store, keeper, loops, discards, leftOut } = parts;
  return {
    append: createLaneAppend({ ...options, lane: options.lane ?? "high", share: options.share ?? 1 }),
    take(max, signal) {
      keeper.start();
      return loops.take(max, signal);
    },
    leaveOut(tenants) {
      leftOut.clear();
      for (const tenant of tenants) leftOut.add(tenant);
    },
    async ack(items) {
      const named = (own: readonly LaneItem[]) => own.map((item) => ({ ...handleOf(item), envelope: item.envelope }));
      await everyShard(letGo(keeper, items), (shard, own) => store.ack(shard, named(own)));
      loops.wake();
    },
    async release(items) {
      await release(parts, items);
      loops.wake();
    },
    async depth() {
      const depths = await Promise.all(Array.from({ length: keys.shards }, (_, shard) => store.depth(shard)));
      const times = depths.map(({ oldestAtMs }) => oldestAtMs).filter((atMs) => atMs !== null);
      return {
        count: depths.reduce((sum, { count }) => sum + count, 0),
        oldestAtMs: times.length === 0 ? null : Math.min(...times),
      };
    },
    note: (envelopes) => everyShard(byShard(keys, envelopes), store.note),
    async [Symbol.asyncDispose]() {
      await loops.stop();
      await discards.over();
      await keeper.stop();
    },
  };
}

function assemble(options: HighLaneOptions) {
  const { keys, clock, entropy, onFault, lane = "high", leaseMs = LEASE_MS } = options;
  const { shards } = keys;
  const presenceMs = Math.min(options.presenceMs ?? PRESENCE_MS, leaseMs);
  const store = createLeaseStore({
    commands: options.commands,
    keys,
    name: lane,
    holder: encodeHex(entropy.bytes(HOLDER_BYTES)),
    leaseMs,
    presenceMs,
  });
  const keeper = createLeaseKeeper({
    clock,
    entropy,
    shards,
    leaseMs,
    presenceMs,
    holdMsMax: HOLD_MS_MAX,
    beat: store.beat,
    onFault,
  });
  const discards = createDiscards(store, options);
  const leftOut = new Set<string>();
  const loops = createLeaseLoops<LaneItem>({
    clock,
    entropy,
    shards,
    open: store.open,
    async pull(shard, max) {
      const all = await store.take(shard, max, [...leftOut]);
      if (all.length === 0) return null;
      const { items, poison } = unpackAll(all, lane, shard);
      const tickets = items.map((item) => handleOf(item).ticket);
      keeper.hold(shard, tickets);
      // Beside the good ones, which must not wait until the bad ones are stored elsewhere.
      for (const leased of poison) await discards.begin(shard, leased);
      return items;
    },
    giveBack: (items) => release({ store, keeper }, items),
    // A blocking read cannot leave anybody out.
    async listen(shard, signal) {
      if (leftOut.size === 0) return await store.listen(shard, signal);
      return await clock.sleep(LEFT_OUT_LOOK_MS, signal).then(
        () => true,
        () => false,
      );
    },
    hasRoom: () => keeper.heldCount() < HELD_MAX,
    onFault,
  });
  return { store, keeper, loops, discards, leftOut };
}

/** Not renewed from here on: when the call that follows fails the lease runs out, and the item comes again. */
function letGo(keeper: LeaseKeeper, items: readonly LaneItem[]): ReadonlyMap<number, readonly LaneItem[]> {
  for (const item of items) keeper.forget(handleOf(item).shard, handleOf(item).ticket);
  return Map.groupBy(items, (item) => handleOf(item).shard);
}

async function release(
  { store, keeper }: { readonly store: LeaseStore; readonly keeper: LeaseKeeper },
  items: readonly LaneItem[],
): Promise<void> {
  const tickets = (own: readonly LaneItem[]) => own.map((item) => handleOf(item).ticket);
  await everyShard(letGo(keeper, items), (shard, own) => store.release(shard, tickets(own)));
}

function unpackAll(all: readonly Leased[], lane: Lane, shard: number) {
  const items: LaneItem[] = [];
  const poison: Leased[] = [];
  for (const leased of all) {
    const { ticket, packed, isRepeat } = leased;
    const envelope = unpackEnvelope(packed);
    if (envelope === null) poison.push(leased);
    else items.push({ lane, envelope, isRepeat, handle: { shard, ticket, bytes: packed.length } satisfies Handle });
  }
  return { items, poison };
}

function handleOf(item: LaneItem): Handle {
  const { handle } = item;
  assert(typeof handle === "object" && handle !== null && "ticket" in handle, "a lane item carries our handle");
  return handle as Handle;
}
