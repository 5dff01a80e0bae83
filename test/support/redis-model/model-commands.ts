/** The seam `redis-commands` over the model of Redis. What becomes of calls and messages on their way is the link's affair. */
import type { RedisCommands } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { RedisModel } from "./redis-model.ts";

export interface ModelLink {
  /** Takes a step to the server and its answer back. Rejects with `store-unavailable`, whether or not the step was made. */
  call<Answer>(step: () => Answer): Promise<Answer>;
  /** Takes a message to its subscriber. */
  tell(hear: () => void): void;
  /** A connection that lasts: `up` each time it is there, `down` each time it was cut. Returns what ends it. */
  connect(up: () => void, down: () => void): () => void;
}

/** Nothing ever happens on it. */
export const directLink: ModelLink = {
  // eslint-disable-next-line typescript/require-await -- what the step throws is a rejection
  call: async (step) => step(),
  tell: (hear) => queueMicrotask(hear),
  connect(up) {
    queueMicrotask(up);
    return () => undefined;
  },
};

export function createModelCommands(parts: {
  readonly model: RedisModel;
  readonly link: ModelLink;
  readonly clock: Pick<Clock, "timer">;
}): RedisCommands {
  const { model, link } = parts;
  return {
    run: (script, keys, args) => link.call(() => model.run(script, keys, args)),
    publish: (channel, message) => link.call(() => model.publish(channel, message)),
    waitForList: (list, waitMs, signal) => waitForList(parts, list, waitMs, signal),
    subscribe: (channel, listener, connected) => subscribe(parts, channel, listener, connected),
    health: () =>
      link
        .call(() => null)
        .then(
          () => null,
          () => "Redis does not answer.",
        ),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

type Parts = Parameters<typeof createModelCommands>[0];

async function waitForList(
  { model, link, clock }: Parts,
  list: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  if (signal.aborted) return false;
  return await new Promise((resolve, reject) => {
    const ends: (() => void)[] = [];
    const settle = (step: () => void): void => {
      for (const end of ends.splice(0)) end();
      step();
    };
    const give = (isThere: boolean): void => settle(() => resolve(isThere));
    const look = (): void => {
      if (model.length(list) > 0) link.tell(() => give(true));
    };
    const refuse = (): void =>
      settle(() => reject(new PosthasteError("store-unavailable", "The connection to Redis was lost.")));
    const abort = (): void => give(false);
    signal.addEventListener("abort", abort, { once: true });
    ends.push(
      () => signal.removeEventListener("abort", abort),
      clock.timer(Math.max(1, waitMs), abort),
      model.watch(list, look),
      link.connect(look, refuse),
    );
  });
}

async function subscribe(
  { model, link }: Parts,
  channel: string,
  listener: (message: string) => void,
  connected: () => void,
): Promise<AsyncDisposable> {
  let endHearing: (() => void) | null = null;
  const down = (): void => {
    endHearing?.();
    endHearing = null;
  };
  const confirmed = Promise.withResolvers<void>();
  const endConnection = link.connect(() => {
    let isUp = true;
    const endListening = model.subscribe(channel, (message) =>
      link.tell(() => {
        if (isUp) listener(message);
      }),
    );
    endHearing = () => {
      isUp = false;
      endListening();
    };
    connected();
    confirmed.resolve();
  }, down);
  await confirmed.promise;
  return {
    [Symbol.asyncDispose]: () => {
      endConnection();
      down();
      return Promise.resolve();
    },
  };
}
