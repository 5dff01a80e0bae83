/**
 * The tail over Redis pub/sub. Who watches says so on one channel, now and every few seconds, with the tenants that are
 * wanted; every process hears it, and publishes what it has of those tenants on another channel until that has lapsed. So
 * a process asks Redis nothing while nobody watches, and a watcher that died is forgotten. One message is under way at a
 * time, and what comes meanwhile goes with the next.
 */
import type { Cancel, Clock } from "../../lib/ambient.ts";
import type { Heard, Tail, TailEntry } from "../../ports/tail.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands } from "./client/redis-commands.ts";

/** Entries that wait for the message before them; further ones are lost. */
export const TAIL_WAITING_MAX = 4000;
/** Entries of one message: some hundred KiB. */
const MESSAGE_ENTRIES_MAX = 500;
/** A watch is said again so often, and lapses after the other, so that a message or two may be lost. */
const SAY_AGAIN_MS = 5000;
export const LAPSE_MS = 15_000;
/** Tenants that one process knows as wanted; and that one watch names, beyond which it wants all. */
export const WANTED_TENANTS_MAX = 1000;
const ALL = "*";

export interface RedisTailOptions {
  readonly commands: Pick<RedisCommands, "publish" | "subscribe">;
  readonly keys: KeySpace;
  readonly clock: Pick<Clock, "monotonic" | "timer">;
  /** Gets what a listener threw, and messages that are none of ours. Must not throw. */
  readonly onFault: (error: unknown) => void;
}

export function openRedisTail(options: RedisTailOptions): Tail & AsyncDisposable {
  const { commands, keys, onFault } = options;
  const channels = { entries: keys.channel("tail"), wanted: keys.channel("tail-wanted") };
  const wanted = createWanted(options.clock);
  const outbox = createOutbox((message) => commands.publish(channels.entries, message));
  const watches = createWatches(options, channels);
  const hearing = commands
    .subscribe(
      channels.wanted,
      (message) => {
        const tenants = parseTenants(message);
        if (tenants === null) onFault(new Error(`what was heard on ${channels.wanted} is no list of tenants`));
        else for (const tenant of tenants) wanted.add(tenant);
      },
      () => undefined,
    )
    .catch((error: unknown) => onFault(error));
  return {
    isWatched: (tenant) => wanted.has(tenant),
    publish: (entries) => outbox.add(entries),
    watch: (tenants, listener) => watches.add({ tenants, listener }),
    async [Symbol.asyncDispose]() {
      await watches.end();
      await (await hearing)?.[Symbol.asyncDispose]();
    },
  };
}

/** The tenants that somebody watches, each until it lapses; the one said longest ago makes room. */
function createWanted(clock: Pick<Clock, "monotonic">) {
  const untilMs = new Map<string, number>();
  const isLive = (tenant: string): boolean => {
    const until = untilMs.get(tenant);
    if (until === undefined) return false;
    if (until > clock.monotonic()) return true;
    untilMs.delete(tenant);
    return false;
  };
  return {
    add(tenant: string): void {
      untilMs.delete(tenant);
      untilMs.set(tenant, clock.monotonic() + LAPSE_MS);
      if (untilMs.size <= WANTED_TENANTS_MAX) return;
      const [oldest] = untilMs.keys();
      if (oldest !== undefined) untilMs.delete(oldest);
    },
    has: (tenant: string) => untilMs.size > 0 && (isLive(ALL) || isLive(tenant)),
  };
}

/** What waits to be published. A message that Redis did not take is lost, and the next one says so. */
function createOutbox(send: (message: string) => Promise<void>) {
  let waiting: TailEntry[] = [];
  let isSending = false;
  /** Lost, and no message has said so. */
  let untold = 0;
  const sendAll = async (): Promise<void> => {
    if (isSending) return;
    isSending = true;
    while (waiting.length > 0) {
      const entries = waiting.slice(0, MESSAGE_ENTRIES_MAX);
      waiting = waiting.slice(entries.length);
      const told = untold;
      try {
        await send(JSON.stringify({ entries, lost: told }));
        untold -= told;
      } catch {
        untold += entries.length;
      }
    }
    isSending = false;
  };
  return {
    add(entries: readonly TailEntry[]): void {
      const room = TAIL_WAITING_MAX - waiting.length;
      for (const entry of entries.slice(0, room)) waiting.push(entry);
      untold += Math.max(0, entries.length - room);
      // What belongs to one turn goes in one message.
      queueMicrotask(() => void sendAll());
    },
  };
}

interface Watch {
  readonly tenants: ReadonlySet<string> | null;
  readonly listener: (heard: Heard) => void;
}

/** The watches of this process: one subscription while there is any, and the tenants of all of them said again and again. */
function createWatches(
  { commands, clock, onFault }: RedisTailOptions,
  channels: { readonly entries: string; readonly wanted: string },
) {
  const watches = new Set<Watch>();
  let subscription: Promise<AsyncDisposable | null> | null = null;
  let timer: Cancel | null = null;
  const tell = (heard: Heard): void => {
    for (const { listener } of Array.from(watches)) {
      try {
        listener(heard);
      } catch (error) {
        onFault(error);
      }
    }
  };
  const hear = (message: string): void => {
    const heard = parseHeard(message);
    if (heard === null) onFault(new Error(`what was heard on ${channels.entries} is no part of the tail`));
    else tell(heard);
  };
  const say = (): void => {
    timer?.();
    timer = clock.timer(SAY_AGAIN_MS, say);
    // At most once; the next one says the same.
    commands.publish(channels.wanted, JSON.stringify(tenantsOf(watches))).catch(() => undefined);
  };
  const open = async (): Promise<AsyncDisposable | null> => {
    let wasConnected = false;
    try {
      return await commands.subscribe(channels.entries, hear, () => {
        if (wasConnected) tell({ entries: [], lost: null });
        wasConnected = true;
        if (watches.size > 0) say();
      });
    } catch (error) {
      subscription = null;
      onFault(error);
      return null;
    }
  };
  const end = async (): Promise<void> => {
    timer?.();
    timer = null;
    const opened = subscription;
    subscription = null;
    await (await opened)?.[Symbol.asyncDispose]();
  };
  return {
    add(watch: Watch): () => void {
      watches.add(watch);
      subscription ??= open();
      say();
      return () => {
        if (watches.delete(watch) && watches.size === 0) void end().catch(onFault);
      };
    },
    end(): Promise<void> {
      watches.clear();
      return end();
    },
  };
}

function tenantsOf(watches: ReadonlySet<Watch>): readonly string[] {
  const tenants = new Set<string>();
  for (const watch of watches) {
    if (watch.tenants === null) return [ALL];
    for (const tenant of watch.tenants) tenants.add(tenant);
  }
  return tenants.size > WANTED_TENANTS_MAX ? [ALL] : [...tenants];
}

/** Null for what no release of ours has sent. */
function parseTenants(message: string): readonly string[] | null {
  const tenants = parseJson(message);
  return Array.isArray(tenants) && tenants.every((tenant) => typeof tenant === "string")
    ? tenants.slice(0, WANTED_TENANTS_MAX)
    : null;
}

/** Null for what no release of ours has sent. Entries of a kind that a later release has are left out. */
function parseHeard(message: string): Heard | null {
  const heard = parseJson(message);
  if (typeof heard !== "object" || heard === null) return null;
  const { entries, lost } = heard as Record<string, unknown>;
  if (!Array.isArray(entries) || typeof lost !== "number") return null;
  return { entries: entries.filter(isEntry), lost };
}

function isEntry(value: unknown): value is TailEntry {
  if (typeof value !== "object" || value === null) return false;
  const { kind, tenant, eventId, eventType, atMs } = value as Record<string, unknown>;
  const isKnown = kind === "accepted" || kind === "delivery";
  return isKnown && [tenant, eventId, eventType].every((text) => typeof text === "string") && typeof atMs === "number";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
