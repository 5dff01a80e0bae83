/** Appending to a lane, which needs no connection that lasts: for whoever takes from it as well, and for a gateway that has HTTP alone. */
import type { Envelope } from "../../../domain/envelope.ts";
import { packEnvelope } from "../../../domain/envelope-record.ts";
import { PosthasteError } from "../../../domain/errors.ts";
import type { Lane } from "../../../domain/event.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import { everyShard } from "../client/every-shard.ts";
import { joinCalls } from "../client/joined-calls.ts";
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
 * append, and `share` is the part of them that may be full then. With a `clock` the appends of one turn of the event loop share a
 * script, in which each is kept or refused by itself.
 */
export function createLaneAppend(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly clock: Pick<Clock, "soon"> | null;
  readonly lane: Lane;
  readonly bounds: LaneBounds;
  readonly share: number;
}): (envelopes: readonly Envelope[]) => Promise<void> {
  const { commands, keys, clock, lane, bounds, share } = options;
  const channel = keys.channel(`lane:${lane}`);
  const keysByShard = Array.from({ length: keys.shards }, (_, shard) => {
    const { list, turns, fresh, bell, kept, known, tally, held } = laneKeys(keys, shard, lane);
    return [list, turns, fresh, bell, kept, known, tally, held];
  });

  /** Of each call what it is told to refuse it with, or null. */
  async function appendAll(shard: number, calls: readonly AppendCall[]): Promise<readonly (PosthasteError | null)[]> {
    const part = share / keys.shards;
    const most = { itemsMax: Math.floor(bounds.itemsMax * part), bytesMax: Math.floor(bounds.bytesMax * part) };
    const args: RedisArgument[] = [lane, channel, most.itemsMax, most.bytesMax];
    for (const call of calls) args.push(call.length / ENVELOPE_ARGUMENTS, ...call);
    const reply = listOf(await commands.run(appendScript, keysByShard[shard] ?? [], args)).map(Number);
    assert(reply.length === 3 * calls.length, "the script of an append answers with three numbers for each call");
    return calls.map((_, index) => {
      const [isKept, items = 0, bytes = 0] = reply.slice(3 * index, 3 * index + 3);
      return isKept === 1 ? null : full(lane, { items, bytes }, most);
    });
  }

  const join = joinCalls({ clock, run: appendAll });

  async function appendTo(shard: number, envelopes: readonly Envelope[]): Promise<void> {
    const packed = envelopes.map(packEnvelope);
    const call = envelopes.flatMap((each, index) => [eventName(each), each.acceptedAtMs, packed[index] ?? ""]);
    const bytes = packed.reduce((sum, { length }) => sum + length, 0);
    const refusal = await join(shard, call, bytes);
    if (refusal !== null) throw refusal;
  }

  return (envelopes) => everyShard(byShard(keys, envelopes), appendTo);
}

/** Of each envelope its name, the time of its acceptance, and itself. */
type AppendCall = readonly RedisArgument[];
const ENVELOPE_ARGUMENTS = 3;

function full(lane: Lane, held: { readonly items: number; readonly bytes: number }, most: LaneBounds): PosthasteError {
  return new PosthasteError("overloaded", {
    detail:
      `The ${lane} lane holds ${held.items} items of at most ${most.itemsMax} and ${held.bytes} bytes of at most ` +
      `${most.bytesMax}. Try again later.`,
    retryAfterS: RETRY_AFTER_S,
  });
}

export function byShard(keys: KeySpace, envelopes: readonly Envelope[]): ReadonlyMap<number, readonly Envelope[]> {
  return Map.groupBy(envelopes, ({ tenant }) => keys.shardOf(tenant));
}

/** Unique over tenants; neither part can hold a slash. */
export function eventName(envelope: Envelope): string {
  return `${envelope.tenant}/${envelope.id}/${envelope.acceptedAtMs}`;
}
