/** Appending to a lane, which needs no connection that lasts: for whoever takes from it as well, and for a gateway that has HTTP alone. */
import type { Envelope } from "../../../domain/envelope.ts";
import { packEnvelope } from "../../../domain/envelope-record.ts";
import { PosthasteError } from "../../../domain/errors.ts";
import type { Lane } from "../../../domain/event.ts";
import { everyShard } from "../client/every-shard.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { RedisArgument, RedisCommands } from "../client/redis-commands.ts";
import { listOf } from "../client/reply.ts";
import { appendScript, laneKeys } from "./scripts.ts";

export interface LaneBounds {
  readonly itemsMax: number;
  readonly bytesMax: number;
}

/**
 * Over all shards, each of which has its equal part. What is held counts until it is acknowledged. Bytes are those of
 * packed envelopes; Redis needs some 400 more for each.
 */
export const HIGH_LANE_BOUNDS: LaneBounds = { itemsMax: 1_000_000, bytesMax: 1024 ** 3 };

/** What a refused caller is told to wait, in seconds. */
const RETRY_AFTER_S = 5;

/**
 * All or nothing in each shard; events that are kept or known are passed over. Rejects with `overloaded`. `bounds` are read at each
 * append, and `share` is the part of them that may be full then.
 */
export function createLaneAppend(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly lane: Lane;
  readonly bounds: LaneBounds;
  readonly share: number;
}): (envelopes: readonly Envelope[]) => Promise<void> {
  const { commands, keys, lane, bounds, share } = options;
  const channel = keys.channel(`lane:${lane}`);
  const keysByShard = Array.from({ length: keys.shards }, (_, shard) => {
    const { list, turns, fresh, bell, kept, known, tally, held } = laneKeys(keys, shard, lane);
    return [list, turns, fresh, bell, kept, known, tally, held];
  });

  async function appendTo(shard: number, envelopes: readonly Envelope[]): Promise<void> {
    const part = share / keys.shards;
    const itemsMax = Math.floor(bounds.itemsMax * part);
    const bytesMax = Math.floor(bounds.bytesMax * part);
    const args: RedisArgument[] = [lane, channel, itemsMax, bytesMax];
    for (const envelope of envelopes) args.push(eventName(envelope), envelope.acceptedAtMs, packEnvelope(envelope));
    const [isKept, items, bytes] = listOf(await commands.run(appendScript, keysByShard[shard] ?? [], args)).map(Number);
    if (isKept === 1) return;
    throw new PosthasteError("overloaded", {
      detail:
        `The ${lane} lane holds ${items ?? 0} items of at most ${itemsMax} and ${bytes ?? 0} bytes of at most ` +
        `${bytesMax}. Try again later.`,
      retryAfterS: RETRY_AFTER_S,
    });
  }

  return (envelopes) => everyShard(byShard(keys, envelopes), appendTo);
}

export function byShard(keys: KeySpace, envelopes: readonly Envelope[]): ReadonlyMap<number, readonly Envelope[]> {
  return Map.groupBy(envelopes, ({ tenant }) => keys.shardOf(tenant));
}

/** Unique over tenants; neither part can hold a slash. */
export function eventName(envelope: Envelope): string {
  return `${envelope.tenant}/${envelope.id}/${envelope.acceptedAtMs}`;
}
