/**
 * The edge driver set: what a gateway without TCP asks of the deployment's Redis over HTTP. The keys and scripts are those of the
 * distributed set, whose processors do all the rest. A set is made for one request and shares nothing with another but the
 * values of `EdgeMemory`; making one asks nothing.
 *
 * What needs Kafka, or a connection that lasts, is refused with `not-at-edge`: replays and tests of an endpoint, dead
 * letters, quarantined records, the tail.
 */
import { PosthasteError } from "../domain/errors.ts";
import type { Clock, Entropy, Sealer } from "../lib/ambient.ts";
import type { GatewayDrivers } from "../ports/drivers.ts";
import { createEdgeApiKeys } from "./edge/api-keys.ts";
import { byPolicy, createApproximateLimiter } from "./edge/approximate-limiter.ts";
import { createEdgeAppend } from "./edge/append.ts";
import { createEdgeDirectory } from "./edge/directory.ts";
import type { EdgeMemory } from "./edge/memory.ts";
import { createRedisCancellations } from "./redis/cancellations.ts";
import { createRedisClaims } from "./redis/claims.ts";
import type { KeySpace } from "./redis/client/key-space.ts";
import type { RedisRequests } from "./redis/client/redis-commands.ts";
import type { LaneBounds } from "./redis/high-lane/append.ts";
import type { CatalogueBounds } from "./redis/event-types/store.ts";
import { CATALOGUE_TRUSTED_AT_EDGE_MS, createRedisEventTypes } from "./redis/event-types/event-types.ts";
import { createRedisLedger, ledgerEventKey } from "./redis/ledger/ledger.ts";
import { createRedisRateLimiter } from "./redis/rate-limiter.ts";
import { createRedisStats } from "./redis/stats.ts";

export interface EdgeDrivers extends GatewayDrivers {
  /** Resolves when what the ledger and the stats were told is written, or was given up; once for a driver set. Does not reject. */
  flush(): Promise<void>;
}

export interface EdgeOptions {
  readonly commands: Pick<RedisRequests, "run" | "health">;
  readonly keys: KeySpace;
  readonly memory: EdgeMemory;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly sealer: Sealer;
  /** Each as in the distributed set when it is left out. */
  readonly bounds?: EdgeBounds;
  /** A look into the auth cache. */
  readonly onCache: (isHit: boolean) => void;
  /** What went wrong and costs no promise: the ledger was not told, a record does not read back. Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** Entries of the ledger, and counts of the stats, that Redis did not take. */
  readonly onLost: (count: number) => void;
}

export interface EdgeBounds {
  readonly high?: LaneBounds;
  readonly spoolBytesMax?: number;
  readonly catalogue?: CatalogueBounds;
  readonly claimBytesMax?: number;
  readonly cancelledMax?: number;
  readonly apiKeysMax?: number;
  readonly apiKeysEndedMax?: number;
  readonly endpointsMax?: number;
  readonly emptyTenantsMax?: number;
  readonly limitSubjectsMax?: number;
}

/** Of one request. Its ledger and stats write before `flush` resolves, which is not waited for by what was accepted. */
export function createEdgeDrivers(options: EdgeOptions): EdgeDrivers {
  const { commands, keys, memory, clock, onFault, onLost, bounds = {} } = options;
  const place = { commands, keys };
  const { claimBytesMax, cancelledMax, limitSubjectsMax, apiKeysMax, apiKeysEndedMax } = bounds;
  const ledger = createRedisLedger({ ...place, clock, spill: null, onLost });
  const stats = createRedisStats({ ...place, clock, entropy: options.entropy, writes: "flush" });
  const shards = Array.from({ length: keys.shards }, (_, shard) => shard);
  return {
    lanes: {
      append: createEdgeAppend({
        ...place,
        clock,
        ledger,
        ...(bounds.high === undefined ? {} : { highBounds: bounds.high }),
        ...(bounds.spoolBytesMax === undefined ? {} : { spoolBytesMax: bounds.spoolBytesMax }),
        onFault,
      }),
    },
    ledger,
    stats,
    directory: createEdgeDirectory({ ...options, ...bounds }),
    apiKeys: createEdgeApiKeys({
      ...options,
      cache: memory.apiKeys,
      ...(apiKeysMax === undefined ? {} : { keysMax: apiKeysMax }),
      ...(apiKeysEndedMax === undefined ? {} : { endedMax: apiKeysEndedMax }),
    }),
    eventTypes: createRedisEventTypes({
      ...place,
      clock,
      onFault,
      memory: memory.eventTypes,
      trustedMs: CATALOGUE_TRUSTED_AT_EDGE_MS,
      writesBack: false,
      bounds: bounds.catalogue,
    }).types,
    claims: createRedisClaims({
      ...place,
      eventKey: (tenant, eventId) => ledgerEventKey(keys, tenant, eventId),
      ...(claimBytesMax === undefined ? {} : { bytesMax: claimBytesMax }),
    }),
    cancellations: createRedisCancellations({ ...place, ...(cancelledMax === undefined ? {} : { cancelledMax }) }),
    rateLimiter: byPolicy(
      createRedisRateLimiter({
        ...place,
        clock: null,
        ...(limitSubjectsMax === undefined ? {} : { subjectsMax: limitSubjectsMax }),
      }),
      createApproximateLimiter({ ...place, clock }),
    ),
    ...notAtEdge,
    cursorSealer: options.sealer.derived("cursors"),
    health: () => commands.health(shards.map((shard) => keys.key(shard, "health"))),
    degraded: () => Promise.resolve([]),
    async flush() {
      await Promise.all([stats.flush(), ledger.flush()]);
      if (stats.lostCount() > 0) onLost(stats.lostCount());
    },
  };
}

function refuse(what: string): PosthasteError {
  return new PosthasteError(
    "not-at-edge",
    `A gateway at the edge does not ${what}: ask a gateway of the deployment that runs on Bun, Node or Deno.`,
  );
}

const rejecting = (what: string) => (): Promise<never> => Promise.reject(refuse(what));
const DEAD_LETTERS = rejecting("have dead letters");
const QUARANTINE = rejecting("have quarantined records");

const notAtEdge: Pick<EdgeDrivers, "retryQueue" | "deadLetters" | "leases" | "quarantinedRecords" | "tail"> = {
  retryQueue: { schedule: rejecting("plan deliveries") },
  deadLetters: {
    append: DEAD_LETTERS,
    find: DEAD_LETTERS,
    list: DEAD_LETTERS,
    remove: DEAD_LETTERS,
    removeDelivered: DEAD_LETTERS,
    count: DEAD_LETTERS,
  },
  leases: { acquire: DEAD_LETTERS, release: DEAD_LETTERS },
  quarantinedRecords: {
    list: QUARANTINE,
    count: QUARANTINE,
    find: QUARANTINE,
    remove: QUARANTINE,
    putBack: QUARANTINE,
  },
  tail: {
    // Who watches, watches a gateway or processor that can be told; of what is accepted here they hear by its deliveries.
    isWatched: () => false,
    publish: () => undefined,
    watch() {
      throw refuse("follow what happens live");
    },
  },
};
