/**
 * The ways into the ledger that their callers wait for: `remember`, batched by shard with one script for a batch,
 * `forget` and `release`. None is tried again: what to do without Redis is the callers' choice.
 */
import { PosthasteError } from "../../../domain/errors.ts";
import type { DeliveryKey } from "../../../domain/delivery.ts";
import type { Envelope } from "../../../domain/envelope.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { Batcher, BatchResult } from "../../../lib/batcher.ts";
import { createBatcher } from "../../../lib/batcher.ts";
import type { KeySpace } from "../client/key-space.ts";
import { BATCH_BYTES_MAX, BATCH_ITEMS_MAX, ITEM_BYTES } from "./bounds.ts";
import type { LedgerBounds } from "./bounds.ts";
import { inTime } from "./read-budget.ts";
import { envelopeArguments } from "./record.ts";
import { FORGET, RELEASE, REMEMBER } from "./write-scripts.ts";
import type { RedisCommands } from "../client/redis-commands.ts";

export interface LedgerWriter {
  /** Rejects after 2 s at the latest; what was given up may become known all the same. */
  remember(envelopes: readonly Envelope[]): Promise<readonly Envelope[]>;
  forget(envelopes: readonly Envelope[]): Promise<void>;
  release(keys: readonly DeliveryKey[]): Promise<void>;
}

/** Events that wait to be remembered, for each shard; past it `overloaded`. */
const REMEMBER_WAITING_MAX = 20_000;
/** Deliveries that one script lets go. */
const RELEASE_MAX = 500;

export interface WriterOptions {
  readonly commands: Pick<RedisCommands, "run">;
  readonly clock: Pick<Clock, "soon" | "timer">;
  readonly bounds: LedgerBounds;
  readonly rootOf: (shard: number) => string;
  readonly shardOf: KeySpace["shardOf"];
}

export function createLedgerWriter(options: WriterOptions): LedgerWriter {
  const { commands, clock, bounds, rootOf, shardOf } = options;
  /** At most one for each shard. */
  const batchers = new Map<number, Batcher<Envelope, boolean>>();

  function batcherOf(shard: number): Batcher<Envelope, boolean> {
    const known = batchers.get(shard) ?? createShardBatcher(options, shard);
    batchers.set(shard, known);
    return known;
  }

  return {
    async remember(envelopes) {
      if (envelopes.length === 0) return [];
      const known = envelopes.map((envelope) =>
        batcherOf(shardOf(envelope.tenant)).add(envelope, envelope.body.length + ITEM_BYTES),
      );
      const isNew = await inTime(clock, Promise.all(known));
      return envelopes.filter((_, index) => isNew[index] === true);
    },
    async forget(envelopes) {
      for (const [shard, ofShard] of Map.groupBy(envelopes, ({ tenant }) => shardOf(tenant))) {
        const names = ofShard.flatMap(({ tenant, id, acceptedAtMs }) => [tenant, id, acceptedAtMs]);
        await inTime(clock, commands.run(FORGET, [rootOf(shard)], [bounds.bytesPerShardMax, ...names]));
      }
    },
    async release(keys) {
      for (const [shard, ofShard] of Map.groupBy(keys, ({ tenant }) => shardOf(tenant))) {
        for (let from = 0; from < ofShard.length; from += RELEASE_MAX) {
          const names = ofShard
            .slice(from, from + RELEASE_MAX)
            .flatMap(({ tenant, eventId, endpointId, generation }) => [tenant, eventId, endpointId, generation]);
          await commands.run(RELEASE, [rootOf(shard)], [bounds.bytesPerShardMax, ...names]);
        }
      }
    },
  };
}

function createShardBatcher(options: WriterOptions, shard: number): Batcher<Envelope, boolean> {
  const { commands, clock, bounds } = options;
  const keys = [options.rootOf(shard)];
  const head = [bounds.eventsPerTenantMax, bounds.bytesPerShardMax];
  return createBatcher({
    clock,
    itemsMax: BATCH_ITEMS_MAX,
    bytesMax: BATCH_BYTES_MAX,
    waitingMax: REMEMBER_WAITING_MAX,
    overflow: () => new PosthasteError("overloaded", "Too many events wait for the ledger. Try again later."),
    async flush(envelopes) {
      const reply = await commands.run(REMEMBER, keys, [...head, ...envelopes.flatMap(envelopeArguments)]);
      assert(Array.isArray(reply), "remember answers with the ordinals of the new events");
      const added = new Set(reply.map(Number));
      return envelopes.map((_, index): BatchResult<boolean> => ({ kind: "done", value: added.has(index + 1) }));
    },
  });
}
