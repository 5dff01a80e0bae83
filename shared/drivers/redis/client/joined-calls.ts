/**
 * What several callers ask of one shard in the same turn of the event loop, carried by one script instead of one for each.
 * Scripts do not wait for those that are under way, so that one that hangs delays nobody who comes after it.
 */
import { storeUnavailable } from "./redis-faults.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { Batcher } from "../../../lib/batcher.ts";
import { createBatcher } from "../../../lib/batcher.ts";

/** Calls that one script carries: nothing else runs in Redis meanwhile. */
export const JOINED_CALLS_MAX = 64;
/** Of the arguments of one script; a call that is larger by itself has a script of its own. */
export const JOINED_BYTES_MAX = 512 * 1024;
/** Calls that wait for the end of this turn; from there on they are refused. */
const WAITING_MAX = 50_000;

export type JoinedCall<Item, Answer> = (shard: number, item: Item, bytes: number) => Promise<Answer>;

/**
 * `run` answers each item, in their order; when it rejects, each caller gets that error. Where `clock` is null no call is joined with
 * another's: in workerd a request may await nothing that another request began.
 */
export function joinCalls<Item, Answer>(options: {
  readonly clock: Pick<Clock, "soon"> | null;
  readonly run: (shard: number, items: readonly Item[]) => Promise<readonly Answer[]>;
}): JoinedCall<Item, Answer> {
  const { clock, run } = options;
  if (clock === null) return async (shard, item) => only(await run(shard, [item]));
  /** At most one for each shard. */
  const batchers = new Map<number, Batcher<Item, Answer>>();
  return (shard, item, bytes) => {
    const batcher = batchers.get(shard) ?? createShardBatcher(clock, (items) => run(shard, items));
    batchers.set(shard, batcher);
    return batcher.add(item, bytes);
  };
}

function createShardBatcher<Item, Answer>(
  clock: Pick<Clock, "soon">,
  run: (items: readonly Item[]) => Promise<readonly Answer[]>,
): Batcher<Item, Answer> {
  return createBatcher({
    clock,
    batchesMax: Infinity,
    itemsMax: JOINED_CALLS_MAX,
    bytesMax: JOINED_BYTES_MAX,
    waitingMax: WAITING_MAX,
    overflow: () => storeUnavailable("Too many calls wait for Redis"),
    flush: async (items) => (await run(items)).map((value) => ({ kind: "done", value })),
  });
}

function only<Answer>(answers: readonly Answer[]): Answer {
  assert(answers.length === 1, "one call has one answer");
  return answers[0] as Answer;
}
