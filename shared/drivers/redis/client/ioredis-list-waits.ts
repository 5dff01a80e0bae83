/**
 * Waiting for lists, each on a connection of its own, because a connection that blocks answers nothing else.
 * `BLMOVE key key RIGHT RIGHT` leaves the list as it is, so a wait that nobody wants any more does no harm: it is kept
 * until it ends, and who asks for the same list meanwhile shares it.
 */
import type { Clock } from "../../../lib/ambient.ts";
import { DeadlineExceeded } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { RedisClient } from "./connect.ts";
import { toError } from "./ioredis-calls.ts";
import { SHARDS_MAX } from "./key-space.ts";
import { COMMAND_MS_MAX } from "./redis-commands.ts";
import { storeUnavailable } from "./redis-faults.ts";

export interface ListWaits {
  wait(key: string, waitMs: number, signal: AbortSignal): Promise<boolean>;
  stop(): void;
}

interface Waiter {
  readonly client: RedisClient;
  pending: Promise<boolean> | null;
}

/** Past `waitMs` by this much a connection that has not answered is dead. */
const GRACE_MS = COMMAND_MS_MAX;

export function createListWaits(options: { readonly clock: Clock; readonly connect: () => RedisClient }): ListWaits {
  const { clock } = options;
  const waiters = new Map<string, Waiter>();
  let isStopped = false;

  function waiterOf(key: string): Waiter {
    const known = waiters.get(key);
    if (known !== undefined) return known;
    assert(waiters.size < SHARDS_MAX, "one list is waited for in each shard");
    const waiter = { client: options.connect(), pending: null };
    waiters.set(key, waiter);
    return waiter;
  }

  /** Resolves or rejects in bounded time, whoever still listens. */
  async function block({ client }: Waiter, key: string, waitMs: number): Promise<boolean> {
    using deadline = clock.deadline(waitMs + GRACE_MS);
    const { signal } = deadline;
    try {
      await untilReady(client, signal);
      const answer = client.blmove(key, key, "RIGHT", "RIGHT", Math.max(1, waitMs) / 1000);
      return (await orAborted(answer, signal)) !== null;
    } catch (error) {
      if (!(error instanceof DeadlineExceeded)) throw toError(error);
      if (client.status === "ready") client.disconnect(true);
      throw storeUnavailable("Redis did not answer a blocking read in time", error);
    }
  }

  return {
    async wait(key, waitMs, signal) {
      if (signal.aborted) return false;
      if (isStopped) throw storeUnavailable("The connection to Redis is closed");
      const waiter = waiterOf(key);
      if (waiter.pending === null) {
        const pending = block(waiter, key, waitMs).finally(() => (waiter.pending = null));
        pending.catch(() => undefined);
        waiter.pending = pending;
      }
      const { pending } = waiter;
      try {
        return await orAborted(pending, signal);
      } catch (error) {
        if (signal.aborted) return false;
        throw error;
      }
    },
    stop() {
      isStopped = true;
      for (const { client } of waiters.values()) client.disconnect();
    },
  };
}

function untilReady(client: RedisClient, signal: AbortSignal): Promise<void> {
  if (client.status === "ready") return Promise.resolve();
  if (client.status === "end") return Promise.reject(storeUnavailable("The connection to Redis is closed"));
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      client.off("ready", settle);
      client.off("end", settle);
      signal.removeEventListener("abort", settle);
      if (signal.aborted) reject(signal.reason as Error);
      else if (client.status === "ready") resolve();
      else reject(storeUnavailable("The connection to Redis is closed"));
    };
    client.on("ready", settle);
    client.on("end", settle);
    signal.addEventListener("abort", settle, { once: true });
  });
}

function orAborted<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    const release = (): void => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort, { once: true });
    answer.then(resolve, reject).finally(release);
    if (signal.aborted) abort();
  });
}
