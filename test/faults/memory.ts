/** Looks at the memory of programs and of Redis while a scenario runs, and keeps the most that it saw. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { RedisServer } from "../support/services/redis.ts";
import type { Fleet } from "./fleet.ts";
import type { Stores } from "./stores.ts";

export interface Memory {
  readonly gatewayMiB: number;
  readonly processorMiB: number;
  readonly redisMiB: number;
}

const LOOK_EVERY_MS = 500;

export interface MemoryWatch extends AsyncDisposable {
  most(): Memory;
}

export function watchMemory(fleet: Fleet, stores: Stores): MemoryWatch {
  const stopping = new AbortController();
  let most: Memory = { gatewayMiB: 0, processorMiB: 0, redisMiB: 0 };
  let redisMiB = 0;
  let asking: Promise<void> | null = null;
  const servers = stores.sentinel?.nodes ?? (stores.redis === null ? [] : [stores.redis.server]);
  const askRedis = async (): Promise<void> => {
    redisMiB = Math.max(redisMiB, await usedMiB(servers));
    asking = null;
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      // A Redis that hangs is not asked a second time meanwhile.
      asking ??= askRedis();
      most = {
        gatewayMiB: Math.max(most.gatewayMiB, fleet.rssMiB("gateway")),
        processorMiB: Math.max(most.processorMiB, fleet.rssMiB("processor")),
        redisMiB,
      };
      await systemClock.sleep(LOOK_EVERY_MS, stopping.signal).catch(() => undefined);
    }
  };
  const running = run();
  return {
    most: () => ({ ...most, redisMiB }),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

async function usedMiB(servers: readonly RedisServer[]): Promise<number> {
  const answers = await Promise.all(servers.map((server) => server.ask("INFO", "memory").catch(() => "")));
  const used = answers.map((answer) => Number(/used_memory:(\d+)/.exec(answer)?.[1] ?? 0));
  return Math.max(0, ...used) / 2 ** 20;
}
