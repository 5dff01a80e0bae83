/** Everything of the distributed set that lies in Redis, opened and checked together. */
import type { AlertBoard } from "../../ports/alert-board.ts";
import { createRedisAlertBoard } from "../redis/alert-board.ts";
import type { Clock, Entropy, Sealer } from "../../lib/ambient.ts";
import type { DistributedConfig } from "../../domain/distributed-config.ts";
import type { DeadLetterIndex } from "../../ports/dead-letter-index.ts";
import type { Cancellations } from "../../ports/cancellations.ts";
import type { Claims } from "../../ports/claims.ts";
import type { ApiKeyStore } from "../../ports/api-keys.ts";
import type { Leases } from "../../ports/leases.ts";
import type { Notifier } from "../../ports/notifier.ts";
import type { RateLimiter } from "../../ports/rate-limiter.ts";
import type { Tail } from "../../ports/tail.ts";
import { createRedisCancellations } from "../redis/cancellations.ts";
import type { BegunAttempts } from "../../ports/begun-attempts.ts";
import { createRedisBegunAttempts } from "../redis/begun-attempts.ts";
import { createRedisClaims } from "../redis/claims.ts";
import { createRedisDeadLetterIndex } from "../redis/dead-letters/index-store.ts";
import type { RedisDirectory } from "../redis/directory/directory.ts";
import { openRedisDirectory } from "../redis/directory/directory.ts";
import type { HighLane, HighLaneOptions } from "../redis/high-lane/high-lane.ts";
import { openHighLane } from "./high-lane.ts";
import { openRedis } from "../redis/client/ioredis-commands.ts";
import type { KeySpace } from "../redis/client/key-space.ts";
import type { RedisCommands } from "../redis/client/redis-commands.ts";
import type { RedisLedger } from "../redis/ledger/ledger.ts";
import type { Spill } from "../redis/ledger/spilled-entry.ts";
import { createRedisLedger, ledgerEventKey } from "../redis/ledger/ledger.ts";
import { openApiKeys } from "./api-keys.ts";
import type { QuarantineIndex } from "../redis/quarantine/quarantine-index.ts";
import { createRedisQuarantineIndex } from "../redis/quarantine/quarantine-index.ts";
import { openRedisEventTypes } from "../redis/event-types/event-types.ts";
import type { EventTypes } from "../../ports/event-types.ts";
import { createRedisLeases } from "../redis/leases.ts";
import type { LostTopics } from "../redis/lost-topics.ts";
import { createLostTopics } from "../redis/lost-topics.ts";
import { createRedisNotifier } from "../redis/notifier.ts";
import { keySpaceOf } from "./shards.ts";
import type { StoreBounds } from "./store-bounds.ts";
import { openRateLimiter } from "./open-rate-limiter.ts";
import type { LimitEvents, LimiterLine } from "./rate-limiter.ts";
import { requireShardCount } from "../redis/client/shard-count.ts";
import { readMemory } from "./store-memory.ts";
import { withListTurns } from "../redis/list-turns.ts";
import { withMending } from "../redis/mending.ts";
import type { Spool } from "../../ports/spool.ts";
import type { StoreGauges } from "../../ports/store-gauges.ts";
import { createRedisSpool } from "../redis/spool/spool.ts";
import { checkRedis } from "../redis/client/startup-check.ts";
import type { RedisStats } from "../redis/stats.ts";
import { createRedisStats } from "../redis/stats.ts";
import { openRedisTail } from "../redis/tail.ts";

export interface DistributedStoresOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly sealer: Sealer;
  readonly config: DistributedConfig;
  readonly claimBytesMax: number | null;
  readonly onWarning: (warning: string) => void;
  readonly onFault: (error: unknown) => void;
  readonly onCache: (isHit: boolean) => void;
  readonly onLost: (count: number) => void;
  /** A fault of the Redis that may evict, where that is another one. */
  readonly onCacheFault: (error: unknown) => void;
  readonly limits: { readonly processes: number; readonly events: LimitEvents };
  /** Asked where Redis is found empty at the start: does the log show that this deployment was in use before? */
  readonly wasUsed: () => Promise<boolean>;
}

export interface DistributedStores extends AsyncDisposable {
  readonly notifier: Notifier;
  readonly tail: Tail;
  readonly directory: RedisDirectory;
  readonly cursorSealer: Sealer;
  readonly apiKeys: ApiKeyStore;
  readonly eventTypes: EventTypes;
  readonly claims: Claims;
  readonly cancellations: Cancellations;
  readonly leases: Leases;
  readonly lostTopics: LostTopics;
  readonly begunAttempts: BegunAttempts;
  readonly alertBoard: AlertBoard;
  readonly rateLimiter: RateLimiter;
  readonly stats: RedisStats;
  /** Of one process. What Redis does not take in time goes to `spill`. */
  openLedger(spill: Spill): RedisLedger;
  readonly deadLetterIndex: DeadLetterIndex;
  readonly quarantineIndex: QuarantineIndex;
  readonly spool: Spool;
  openHighLane(onPoison: HighLaneOptions["onPoison"]): HighLane;
  isReachable(): boolean;
  /** When Redis was last found emptied, for a day; else null. */
  lostAtMs(): number | null;
  health(): Promise<string | null>;
  /** Of the Redis that may evict; null when that is no other one. */
  readonly cacheHealth: (() => Promise<string | null>) | null;
  flush(): Promise<void>;
  lostCount(): number;
}

export interface OpenedStores extends DistributedStores {
  readonly memory: StoreGauges["memory"];
}

/** Connects to Redis; throws a plain Error that names the setting when it is not there, refuses us, evicts or has other shards. */
export async function openDistributedStores(options: DistributedStoresOptions): Promise<OpenedStores> {
  const { clock, entropy, config, claimBytesMax } = options;
  const url = config.redisUrl;
  const cacheUrl = config.redisCacheUrl ?? url;
  await using opening = new AsyncDisposableStack();
  const { spoolBytesMax } = config;
  const warnings = await checkRedis({ url, name: "REDIS_URL", role: "lanes", clock, spoolBytesMax });
  for (const warning of warnings) options.onWarning(warning);
  if (cacheUrl !== url) {
    const found = await checkRedis({ url: cacheUrl, name: "REDIS_CACHE_URL", role: "cache", clock });
    for (const warning of found) options.onWarning(warning);
  }
  const open = (name: string, at: string, onFault: (error: unknown) => void) =>
    opening.use(openRedis({ url: at, name, clock, entropy, time: "server", onFault }));
  const commands = open("REDIS_URL", url, options.onFault);
  const keys = keySpaceOf(config, url, "REDIS_URL");
  await requireShardCount(commands, keys);
  const main = { commands, keys };
  const cacheCommands = cacheUrl === url ? commands : open("REDIS_CACHE_URL", cacheUrl, options.onCacheFault);
  const cache =
    cacheUrl === url ? main : { commands: cacheCommands, keys: keySpaceOf(config, cacheUrl, "REDIS_CACHE_URL") };
  const stores = opening.use(
    await createStores({
      ...options,
      main,
      cache,
      bounds: { spoolBytesMax, ...(claimBytesMax === null ? {} : { claimBytesMax }) },
      isReachable: () => commands.isReachable(),
      cacheLine: cacheCommands,
    }),
  );
  const opened = opening.move();
  const memory = (): ReturnType<OpenedStores["memory"]> => readMemory(commands, cacheCommands);
  return { ...stores, memory, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

interface Place {
  readonly commands: RedisCommands;
  readonly keys: KeySpace;
}

export interface StoresOptions extends Omit<DistributedStoresOptions, "config" | "claimBytesMax" | "onWarning"> {
  readonly main: Place;
  /** Of what may be evicted. */
  readonly cache: Place;
  readonly bounds: StoreBounds;
  readonly isReachable: () => boolean;
  readonly cacheLine: LimiterLine;
}

/** The connections stay the caller's to dispose, after the stores. */
export async function createStores(given: StoresOptions): Promise<DistributedStores> {
  const mending = (place: Place, onFault: (error: unknown) => void): Place => {
    return { ...place, commands: withMending(place.commands, onFault) };
  };
  const mended = mending(given.main, given.onFault);
  const isOne = given.cache === given.main;
  const options = { ...given, main: mended, cache: isOne ? mended : mending(given.cache, given.onCacheFault) };
  const { main, cache, clock, entropy, sealer, bounds, onFault, onLost, wasUsed } = options;
  await using opening = new AsyncDisposableStack();
  const notifier = opening.use(createRedisNotifier({ ...main, entropy, onFault }));
  const tail = opening.use(openRedisTail({ ...main, clock, onFault }));
  const { endpointsMax, emptyTenantsMax, claimBytesMax, cancelledMax, deadLetterBytesMax } = bounds;
  const directory = opening.use(
    await openRedisDirectory({
      ...main,
      sealer,
      notifier,
      clock,
      entropy,
      wasUsed,
      onFault,
      ...(endpointsMax === undefined ? {} : { endpointsMax }),
      ...(emptyTenantsMax === undefined ? {} : { emptyTenantsMax }),
    }),
  );
  // It may be emptied after the directory was opened: that saw no loss then, and the keys are gone.
  const wasEmptied = async (shard: number): Promise<boolean> => directory.lossOf(shard) !== null || (await wasUsed());
  const apiKeys = opening.use(await openApiKeys({ ...options, ...main, notifier, wasEmptied }));
  const eventTypes = opening.use(openRedisEventTypes({ ...options, ...main, notifier, bounds: bounds.catalogue }));
  const stats = createRedisStats({ ...cache, clock, entropy });
  opening.defer(() => stats.flush().finally(() => stats.stop()));
  const listed: Place = { ...main, commands: withListTurns(main.commands, clock) };
  const opened = opening.move();
  return {
    notifier,
    tail,
    directory,
    cursorSealer: sealer.derived("cursors"),
    apiKeys,
    eventTypes,
    claims: createRedisClaims({
      ...main,
      eventKey: (tenant, eventId) => ledgerEventKey(main.keys, tenant, eventId),
      ...(claimBytesMax === undefined ? {} : { bytesMax: claimBytesMax }),
    }),
    cancellations: createRedisCancellations({ ...main, ...(cancelledMax === undefined ? {} : { cancelledMax }) }),
    leases: createRedisLeases(main),
    lostTopics: createLostTopics(main),
    alertBoard: createRedisAlertBoard(main),
    begunAttempts: createRedisBegunAttempts({ ...main, clock }),
    rateLimiter: openRateLimiter({ ...options, ...cache, subjectsMax: bounds.limitSubjectsMax }),
    stats,
    openLedger: (spill) => createRedisLedger({ ...listed, clock, isReachable: options.isReachable, spill, onLost }),
    deadLetterIndex: createRedisDeadLetterIndex({
      ...listed,
      onFault,
      ...(deadLetterBytesMax === undefined ? {} : { bytesMax: deadLetterBytesMax }),
    }),
    quarantineIndex: createRedisQuarantineIndex(main),
    spool: createRedisSpool({ ...main, bytesMax: bounds.spoolBytesMax }),
    openHighLane: (onPoison) => openHighLane(options, onPoison),
    isReachable: options.isReachable,
    lostAtMs: () => latestOf(Array.from({ length: main.keys.shards }, (_, shard) => directory.lossOf(shard))),
    health: () => healthOf(main),
    cacheHealth: cache === main ? null : () => healthOf(cache),
    flush: () => stats.flush(),
    lostCount: () => stats.lostCount(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Each shard is asked, for in a Cluster one of its masters may be the one that refuses. */
function healthOf({ commands, keys }: Place): Promise<string | null> {
  return commands.health(Array.from({ length: keys.shards }, (_, shard) => keys.key(shard, "health")));
}

function latestOf(times: readonly (number | null)[]): number | null {
  return times.reduce((latest, atMs) => (atMs === null ? latest : Math.max(latest ?? 0, atMs)), null);
}
