/** Items that do not unpack: handed over, then removed. Their leases are not renewed: when either fails they come again. */
import { packedFault } from "../../../domain/envelope-record.ts";
import type { HighLaneOptions } from "./high-lane.ts";
import type { LeaseStore, Leased } from "./lease-store.ts";

/** Those that are being put aside; from there on `take` waits, and good items behind them with it. */
const DISCARDS_MAX = 32;

export interface Discards {
  /** Resolves when there is room for the next. */
  begin(shard: number, leased: Leased): Promise<void>;
  /** Resolves when none is under way. */
  over(): Promise<void>;
}

export function createDiscards(
  store: Pick<LeaseStore, "ack">,
  options: Pick<HighLaneOptions, "onPoison" | "onFault">,
): Discards {
  const underWay = new Set<Promise<void>>();

  async function discard(shard: number, { ticket, packed }: Leased): Promise<void> {
    try {
      await options.onPoison(packed, packedFault(packed));
      await store.ack(shard, [{ ticket, envelope: null, bytes: packed.length }]);
    } catch (error) {
      options.onFault(error);
    }
  }

  return {
    async begin(shard: number, leased: Leased): Promise<void> {
      const running = discard(shard, leased).finally(() => underWay.delete(running));
      underWay.add(running);
      while (underWay.size >= DISCARDS_MAX) await Promise.race(underWay);
    },
    async over(): Promise<void> {
      await Promise.all(underWay);
    },
  };
}
