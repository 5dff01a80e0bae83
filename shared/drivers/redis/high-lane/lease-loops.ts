/**
 * Brings those who wait in `take` together with the shards that have something. A shard is asked while it gives; when
 * it gave nothing its doorbell is awaited, one at a time for each shard, and only while somebody waits. Shards take
 * turns. A shard that fails is left alone for a while, and costs nothing but its own items' time.
 */
import type { Cancel, Clock, Entropy } from "../../../lib/ambient.ts";
import { backoffMs } from "../../../lib/retry.ts";
import type { Waiter } from "../../../lib/waiters.ts";
import { Waiters } from "../../../lib/waiters.ts";

/** Of a shard that failed. */
const PAUSES = { firstMs: 100, maxMs: 5000 } as const;

export interface LeaseLoops<Item> {
  /** 1 to `max` items; none only when `signal` is aborted or the loops were stopped. */
  take(max: number, signal: AbortSignal): Promise<readonly Item[]>;
  /** There may be room again. */
  wake(): void;
  /** Those who wait get nothing; resolves when no call is under way. */
  stop(): Promise<void>;
}

interface Shard {
  readonly index: number;
  /** `new` needs `open` first; `ready` may be asked; the others have something under way. */
  state: "new" | "ready" | "asked" | "listening" | "paused";
  /** In a row. */
  failures: number;
}

export interface LeaseLoopsOptions<Item> {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly shards: number;
  /** Called before a shard is asked for the first time, and again after each failure. */
  readonly open: (shard: number) => Promise<void>;
  /** Null when the shard had nothing; no items when what it had was of no use. */
  readonly pull: (shard: number, max: number) => Promise<readonly Item[] | null>;
  /** Takes back what nobody waits for any more. */
  readonly giveBack: (items: readonly Item[]) => Promise<void>;
  /** Waits a bounded time until the shard has something; false when it has not. */
  readonly listen: (shard: number, signal: AbortSignal) => Promise<boolean>;
  readonly hasRoom: () => boolean;
  readonly onFault: (error: unknown) => void;
}

export function createLeaseLoops<Item>(options: LeaseLoopsOptions<Item>): LeaseLoops<Item> {
  const stopping = new AbortController();
  const waiters = new Waiters<Item>();
  /** Those on whose behalf a shard is asked now. */
  const asking = new Set<Waiter>();
  const calls = createCalls(options.onFault);
  const rota = createRota(options, pump);

  function pump(): void {
    while (!stopping.signal.aborted && options.hasRoom()) {
      const waiter = firstIdle();
      const shard = waiter === undefined ? undefined : rota.next();
      if (waiter === undefined || shard === undefined) return;
      calls.track(ask(waiter, shard));
    }
  }

  function firstIdle(): Waiter | undefined {
    for (const waiter of waiters) if (!asking.has(waiter)) return waiter;
    return undefined;
  }

  async function ask(waiter: Waiter, shard: Shard): Promise<void> {
    const isNew = shard.state === "new";
    shard.state = "asked";
    asking.add(waiter);
    try {
      if (isNew) await options.open(shard.index);
      const items = await options.pull(shard.index, waiter.max);
      shard.failures = 0;
      if (items === null) calls.track(listen(shard));
      else shard.state = "ready";
      if (items !== null && items.length > 0 && !waiters.hand(waiter, items)) calls.track(options.giveBack(items));
    } catch (error) {
      rota.pause(shard, error);
    }
    asking.delete(waiter);
    pump();
  }

  async function listen(shard: Shard): Promise<void> {
    shard.state = "listening";
    try {
      let hasRung = false;
      while (!hasRung && waiters.count > 0 && !stopping.signal.aborted) {
        hasRung = await options.listen(shard.index, stopping.signal);
      }
      // Without a ring, too: whoever takes next asks the shard, and does not rely on what was true some time ago.
      shard.state = "ready";
    } catch (error) {
      rota.pause(shard, error);
    }
    pump();
  }

  return {
    take(max, signal) {
      if (signal.aborted || stopping.signal.aborted) return Promise.resolve([]);
      const taken = waiters.wait(max, signal);
      pump();
      return taken;
    },
    wake: pump,
    async stop() {
      stopping.abort();
      rota.stop();
      waiters.dismissAll();
      await calls.over();
    },
  };
}

/** The shards and whose turn it is; `resumed` is called when one may be asked again after a failure. */
function createRota(
  options: Pick<LeaseLoopsOptions<never>, "clock" | "entropy" | "shards" | "onFault">,
  resumed: () => void,
) {
  const { clock, entropy, onFault } = options;
  const shards = Array.from({ length: options.shards }, (_, index) => createShard(index));
  const pauses = new Set<Cancel>();
  let turn = 0;
  let isStopped = false;
  return {
    /** In turn, beginning behind the one that was asked last. */
    next(): Shard | undefined {
      for (let step = 0; step < shards.length; step++) {
        const shard = shards[(turn + step) % shards.length];
        if (shard?.state !== "ready" && shard?.state !== "new") continue;
        turn = shard.index + 1;
        return shard;
      }
      return undefined;
    },
    pause(shard: Shard, error: unknown): void {
      if (isStopped) return;
      onFault(error);
      shard.state = "paused";
      const cancel = clock.timer(backoffMs(shard.failures, PAUSES, entropy), () => {
        pauses.delete(cancel);
        shard.state = "new";
        resumed();
      });
      pauses.add(cancel);
      shard.failures += 1;
    },
    stop(): void {
      isStopped = true;
      for (const cancel of pauses) cancel();
    },
  };
}

/** What is under way, so that it can be waited for. */
function createCalls(onFault: (error: unknown) => void) {
  const underWay = new Set<Promise<void>>();
  return {
    track(call: Promise<void>): void {
      const tracked = call.catch(onFault).finally(() => underWay.delete(tracked));
      underWay.add(tracked);
    },
    async over(): Promise<void> {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function createShard(index: number): Shard {
  return { index, state: "new", failures: 0 };
}
