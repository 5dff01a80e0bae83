/**
 * Pub/sub on one connection for all channels, opened with the first. When it is lost another one is opened after a
 * jittered wait, at another node in a Cluster, and each subscriber is told once its channel is heard again. A PING every
 * few seconds finds connections that died without a word.
 */
import type { Redis } from "ioredis";

import type { Cancel, Clock } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import { COMMAND_MS_MAX } from "./redis-commands.ts";

export const SUBSCRIPTIONS_MAX = 1000;
const PING_MS = 5000;

interface Subscription {
  readonly channel: string;
  readonly listener: (message: string) => void;
  readonly connected: () => void;
}

export interface Subscriptions {
  /** Resolves when Redis confirmed it, or after `COMMAND_MS_MAX` all the same: `connected` is the sign. */
  subscribe(subscription: Subscription): Promise<AsyncDisposable>;
  stop(): void;
}

export interface SubscriptionsOptions {
  readonly clock: Clock;
  /** A connection that does not reconnect by itself. */
  readonly connect: (tries: number) => Redis;
  readonly retryMs: (times: number) => number;
  readonly onFault: (error: unknown) => void;
}

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { clock, onFault } = options;
  const subscriptions = new Set<Subscription>();
  const guarded = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      onFault(error);
    }
  };
  const connection = createKeptConnection(options, {
    hear(channel, message) {
      const now = [...subscriptions].filter((subscription) => subscription.channel === channel);
      for (const { listener } of now) guarded(() => listener(message));
    },
    /** Who subscribes meanwhile asks for itself. */
    ready(opened) {
      const now = [...subscriptions];
      if (now.length === 0) return;
      opened.subscribe(...new Set(now.map(({ channel }) => channel))).then(
        () => now.filter((one) => subscriptions.has(one)).forEach(({ connected }) => guarded(connected)),
        () => opened.disconnect(),
      );
    },
  });

  function begin(subscription: Subscription): void {
    const opened = connection.open();
    if (opened === null) return;
    opened.subscribe(subscription.channel).then(
      () => guarded(subscription.connected),
      () => opened.disconnect(),
    );
  }

  async function end(subscription: Subscription): Promise<void> {
    subscriptions.delete(subscription);
    const isHeard = [...subscriptions].some(({ channel }) => channel === subscription.channel);
    if (!isHeard)
      await connection
        .current()
        ?.unsubscribe(subscription.channel)
        .catch(() => undefined);
  }

  return {
    async subscribe(given) {
      assert(subscriptions.size < SUBSCRIPTIONS_MAX, `at most ${SUBSCRIPTIONS_MAX} subscriptions are held`);
      let confirm: () => void = () => undefined;
      const confirmed = new Promise<void>((resolve) => (confirm = resolve));
      const subscription: Subscription = {
        ...given,
        connected() {
          confirm();
          given.connected();
        },
      };
      subscriptions.add(subscription);
      begin(subscription);
      const cancel = clock.timer(COMMAND_MS_MAX, confirm);
      await confirmed;
      cancel();
      return { [Symbol.asyncDispose]: () => end(subscription) };
    },
    stop: () => connection.stop(),
  };
}

interface KeptConnection {
  /** Connects at the first call; the connection when it is ready, else null: `ready` will tell. */
  open(): Redis | null;
  /** Null while there is none that is ready. */
  current(): Redis | null;
  stop(): void;
}

/** One connection after another, each watched by pings. */
function createKeptConnection(
  { clock, connect, retryMs }: SubscriptionsOptions,
  told: { readonly hear: (channel: string, message: string) => void; readonly ready: (opened: Redis) => void },
): KeptConnection {
  let client: Redis | null = null;
  let tries = 0;
  let failures = 0;
  let timer: Cancel | null = null;
  let isStopped = false;

  function begin(): void {
    const opened = connect(tries++);
    client = opened;
    opened.on("error", () => undefined);
    opened.on("message", told.hear);
    opened.once("ready", () => {
      failures = 0;
      told.ready(opened);
      ping(opened);
    });
    opened.once("end", () => {
      timer?.();
      timer = isStopped ? null : clock.timer(retryMs(++failures), begin);
    });
  }

  function ping(opened: Redis): void {
    timer?.();
    timer = clock.timer(PING_MS, () => {
      // Silence past the client's own limit ends the connection, and with it this round of pings.
      opened.ping().then(
        () => ping(opened),
        () => opened.disconnect(),
      );
    });
  }

  const current = (): Redis | null => (client?.status === "ready" ? client : null);
  return {
    open() {
      if (client === null) begin();
      return current();
    },
    current,
    stop() {
      isStopped = true;
      timer?.();
      client?.disconnect();
    },
  };
}
