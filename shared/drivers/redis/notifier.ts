/**
 * Announcements over Redis pub/sub. Listeners of this process are called before `publish` returns, whether Redis is
 * there or not; those of other processes when the message arrives. What comes back from Redis to its own sender is
 * passed over, so that each listener hears each announcement once. A script announces what it did itself, as nobody's
 * message: no death between the two can part them. After each reconnection listeners hear that some may have been lost.
 */
import type { Entropy } from "../../lib/ambient.ts";
import type { Announcement, Notifier } from "../../ports/notifier.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands } from "./client/redis-commands.ts";

/** Announcements on their way to Redis; further ones reach this process alone, and are counted. */
export const PUBLISHES_MAX = 1000;
const SENDER_BYTES = 8;
const NOBODY = "";

export function announcementChannel(keys: KeySpace): string {
  return keys.channel("announcements");
}

/** For a script to publish: all processes hear it, also the one whose script it is. */
export function announcementMessage(announcement: Announcement): string {
  return JSON.stringify({ sender: NOBODY, announcement });
}

export interface RedisNotifier extends Notifier, AsyncDisposable {
  /** Announcements that did not reach Redis since the start. */
  lostCount(): number;
}

export function createRedisNotifier(options: {
  readonly commands: Pick<RedisCommands, "publish" | "subscribe">;
  readonly keys: KeySpace;
  readonly entropy: Pick<Entropy, "bytes">;
  /** Gets what a listener threw, and messages that are none of ours. Must not throw. */
  readonly onFault: (error: unknown) => void;
}): RedisNotifier {
  const { commands, onFault } = options;
  const channel = announcementChannel(options.keys);
  const sender = Buffer.from(options.entropy.bytes(SENDER_BYTES)).toString("hex");
  const listeners: Listeners = new Set();
  const tell = (announcement: Announcement): void => tellAll(listeners, announcement, onFault);
  let subscription: Promise<AsyncDisposable | null> | null = null;
  let wasConnected = false;
  let underWay = 0;
  let lost = 0;

  function hearMessage(message: string): void {
    const parsed = parseMessage(message);
    if (parsed === null) return onFault(new Error(`what was heard on ${channel} is no announcement`));
    if (parsed.sender !== sender) tell(parsed.announcement);
  }

  async function open(): Promise<AsyncDisposable | null> {
    try {
      return await commands.subscribe(channel, hearMessage, () => {
        if (wasConnected) tell({ kind: "some-were-lost" });
        wasConnected = true;
      });
    } catch (error) {
      // The next listener tries again.
      subscription = null;
      onFault(error);
      return null;
    }
  }

  async function send(announcement: Announcement): Promise<void> {
    if (underWay >= PUBLISHES_MAX) return void lost++;
    underWay++;
    try {
      await commands.publish(channel, JSON.stringify({ sender, announcement }));
    } catch {
      lost++;
    } finally {
      underWay--;
    }
  }

  return {
    publish(announcement) {
      tell(announcement);
      void send(announcement);
    },
    subscribe(listener) {
      subscription ??= open();
      // An entry for each subscription, so that the same function may listen twice and end one of them.
      const entry = { hear: listener };
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    lostCount: () => lost,
    async [Symbol.asyncDispose]() {
      listeners.clear();
      await (await subscription)?.[Symbol.asyncDispose]();
    },
  };
}

type Listeners = Set<{ readonly hear: (announcement: Announcement) => void }>;

/** Those of now: who subscribes or leaves meanwhile is heard from the next announcement on. */
function tellAll(listeners: Listeners, announcement: Announcement, onFault: (error: unknown) => void): void {
  for (const { hear } of Array.from(listeners)) {
    try {
      hear(announcement);
    } catch (error) {
      onFault(error);
    }
  }
}

/** Null for what no release of ours has sent. */
function parseMessage(message: string): { readonly sender: unknown; readonly announcement: Announcement } | null {
  try {
    const { sender, announcement } = JSON.parse(message) as Record<string, unknown>;
    if (typeof announcement !== "object" || announcement === null) return null;
    const { kind, tenant, endpointId } = announcement as Record<string, unknown>;
    if (kind === "event-types-changed") return { sender, announcement: { kind } };
    const isOurs = kind === "directory-changed" && typeof tenant === "string" && typeof endpointId === "string";
    return isOurs ? { sender, announcement: { kind, tenant, endpointId } } : null;
  } catch {
    return null;
  }
}
