/**
 * A batch of entries into one shard. What finds no event after a first wait, and brings its event with it, makes it known:
 * so what was accepted while Redis was away, or before it lost everything, is shown with what became of it.
 */
import type { Envelope } from "../../../domain/envelope.ts";
import { assert } from "../../../lib/assert.ts";
import type { RedisArgument, RedisCommands, RedisReply } from "../client/redis-commands.ts";
import type { LedgerBounds } from "./bounds.ts";
import { BATCH_BYTES_MAX, BATCH_ITEMS_MAX, ITEM_BYTES } from "./bounds.ts";
import type { PendingEntry } from "./pending-entries.ts";
import { envelopeArguments } from "./record.ts";
import { RECALL, RECORD } from "./write-scripts.ts";

export interface PlacingOptions {
  readonly commands: Pick<RedisCommands, "run">;
  readonly bounds: LedgerBounds;
  readonly rootOf: (shard: number) => string;
}

export interface Placing {
  /**
   * Returns those that found no event. Those of them that found none before are tried once more with the event that they
   * bring; where the ledger has no room for it they are left out, and so not returned. `isAgain`: the same were tried before,
   * and what was recorded since by others may stand.
   */
  place(shard: number, entries: readonly PendingEntry[], isAgain: boolean): Promise<readonly PendingEntry[]>;
  /** Makes events known that were accepted a while ago, as far as there is room for them. */
  recall(shard: number, envelopes: readonly Envelope[]): Promise<void>;
}

export function createPlacing({ commands, bounds, rootOf }: PlacingOptions): Placing {
  const recordHead = [
    bounds.bytesPerShardMax,
    bounds.deliveriesPerEventMax,
    bounds.deliveriesPerEndpointMax,
    bounds.attemptsPerEndpointMax,
  ];
  const recallHead = [bounds.eventsPerTenantMax, bounds.bytesPerShardMax];

  async function record(
    shard: number,
    entries: readonly PendingEntry[],
    isAgain: boolean,
  ): Promise<readonly PendingEntry[]> {
    const args = [...recordHead, ...entries.flatMap((entry) => argumentsOf(entry, isAgain || entry.unmet > 0))];
    const reply = await commands.run(RECORD, [rootOf(shard)], args);
    assert(Array.isArray(reply), "the script replies with the ordinals of entries");
    return (reply as readonly RedisReply[]).map((ordinal) => {
      const entry = entries[Number(ordinal) - 1];
      assert(entry !== undefined, "an ordinal is that of an entry");
      return entry;
    });
  }

  async function recall(shard: number, envelopes: readonly Envelope[]): Promise<void> {
    for (const batch of batchesOf(envelopes)) {
      await commands.run(RECALL, [rootOf(shard)], [...recallHead, ...batch.flatMap(envelopeArguments)]);
    }
  }

  return {
    recall,
    async place(shard, entries, isAgain) {
      const unmet = await record(shard, entries, isAgain);
      const recalled = unmet.filter(isRecallable);
      if (recalled.length === 0) return unmet;
      await recall(shard, [...new Set(recalled.flatMap(({ envelope }) => envelope ?? []))]);
      await record(shard, recalled, isAgain);
      return unmet.filter((entry) => !isRecallable(entry));
    },
  };
}

/** One that comes late says so, since what was recorded after it may stand already. */
function argumentsOf({ args }: PendingEntry, isLate: boolean): readonly RedisArgument[] {
  return isLate && args[0] === "d" ? ["l", ...args.slice(1)] : args;
}

function isRecallable({ unmet, envelope }: PendingEntry): boolean {
  return unmet > 0 && envelope !== null;
}

/** As many as one script takes. */
function batchesOf(envelopes: readonly Envelope[]): readonly (readonly Envelope[])[] {
  const batches: Envelope[][] = [];
  let bytes = Infinity;
  for (const envelope of envelopes) {
    const more = envelope.body.length + ITEM_BYTES;
    const last = batches.at(-1);
    if (last === undefined || last.length >= BATCH_ITEMS_MAX || bytes + more > BATCH_BYTES_MAX) {
      batches.push([envelope]);
      bytes = more;
    } else {
      last.push(envelope);
      bytes += more;
    }
  }
  return batches;
}
