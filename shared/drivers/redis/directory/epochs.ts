/**
 * What processes tell each other of a Redis that lost parts of the directory, so that whoever holds them in memory writes
 * them back although nothing asks him for them. At most once: a lost message costs time, as a loss that is told to nobody
 * is found by the next use.
 */
import type { KeySpace } from "../client/key-space.ts";
import type { RedisCommands } from "../client/redis-commands.ts";

export interface EpochChannel {
  /** A shard had no epoch and began this one: it is new, or was emptied. */
  announceEpoch(epoch: string): void;
  /** Redis shows the tenant at an older version than was seen. */
  announceOlder(tenant: string): void;
  listen(listener: EpochListener): Promise<AsyncDisposable>;
}

export interface EpochListener {
  epoch(epoch: string): void;
  tenant(tenant: string): void;
  /** The connection is new: messages may have been lost, and so may Redis's data. */
  connected(): void;
}

const CHANNEL = "directory-losses";
const EPOCH = "marker:";
const TENANT = "tenant:";

export function createEpochChannel(options: {
  readonly commands: Pick<RedisCommands, "publish" | "subscribe">;
  readonly keys: KeySpace;
}): EpochChannel {
  const { commands } = options;
  const channel = options.keys.channel(CHANNEL);
  const tell = (message: string): void => void commands.publish(channel, message).catch(() => undefined);
  return {
    announceEpoch: (epoch) => tell(EPOCH + epoch),
    announceOlder: (tenant) => tell(TENANT + tenant),
    listen(listener) {
      const hear = (message: string): void => {
        if (message.startsWith(EPOCH)) listener.epoch(message.slice(EPOCH.length));
        else if (message.startsWith(TENANT)) listener.tenant(message.slice(TENANT.length));
      };
      return commands.subscribe(channel, hear, () => listener.connected());
    },
  };
}
