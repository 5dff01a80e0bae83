/** What can befall the way to a service, by the proxies before it. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { NetworkFault, TcpProxy } from "../support/tcp-proxy.ts";
import type { Fault, Stage } from "./scenario.ts";

export type ProxiesOf = (stage: Stage) => readonly TcpProxy[];

const HEALTHY: NetworkFault = { kind: "none" };

export function onNetwork(proxiesOf: ProxiesOf, fault: NetworkFault): Fault {
  return async (stage) => {
    const proxies = proxiesOf(stage);
    await setAll(proxies, fault);
    return () => setAll(proxies, HEALTHY);
  };
}

/** Ends all connections, again and again; new ones are taken. */
export function cutEvery(proxiesOf: ProxiesOf, everyMs: number): Fault {
  return repeated(everyMs, async (stage) => {
    for (const proxy of proxiesOf(stage)) proxy.drop();
  });
}

/** Down and up in turn. */
export function flap(proxiesOf: ProxiesOf, everyMs: number): Fault {
  let isDown = false;
  const turn = repeated(everyMs, async (stage) => {
    isDown = !isDown;
    await setAll(proxiesOf(stage), isDown ? { kind: "down" } : HEALTHY);
  });
  return async (stage) => {
    const stop = await turn(stage);
    return async () => {
      await stop();
      isDown = false;
      await setAll(proxiesOf(stage), HEALTHY);
    };
  };
}

function repeated(everyMs: number, once: (stage: Stage) => Promise<void>): Fault {
  return (stage) => {
    const stopping = new AbortController();
    const run = async (): Promise<void> => {
      while (!stopping.signal.aborted) {
        await once(stage);
        await systemClock.sleep(everyMs, stopping.signal).catch(() => undefined);
      }
    };
    const running = run();
    return Promise.resolve(async () => {
      stopping.abort();
      await running;
    });
  };
}

async function setAll(proxies: readonly TcpProxy[], fault: NetworkFault): Promise<void> {
  await Promise.all(proxies.map((proxy) => proxy.set(fault)));
}
