/** The dead letters under test: on the log in memory, with their index in Redis and the ledger that they tell. */
import assert from "node:assert/strict";
import type {
  PartitionedDeadLetters,
  PartitionedDeadLettersOptions,
} from "@posthaste/shared/drivers/partitioned/dead-letters/dead-letters.ts";
import { createPartitionedDeadLetters } from "@posthaste/shared/drivers/partitioned/dead-letters/dead-letters.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { openMemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { createRedisDeadLetterIndex } from "@posthaste/shared/drivers/redis/dead-letters/index-store.ts";
import type { RedisLedger } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import { createRedisLedger } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import type { DeliveryKey } from "@posthaste/shared/domain/delivery.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { DeadLetterIndex } from "@posthaste/shared/ports/dead-letter-index.ts";
import type { Lanes } from "@posthaste/shared/ports/lanes.ts";
import { plainChance } from "../../support/ambient.ts";
import type { HarnessBounds } from "../../contract/harness.ts";
import type { RedisHarness, RedisProcess } from "../redis/harness.ts";
import { openRedisHarness } from "../redis/harness.ts";

export const TOPIC = "dead-letter";
export const GROUP = "dead-letters";
const SPEC = {
  topic: TOPIC,
  partitions: 2,
  replication: 1,
  minInSync: 1,
  retentionMs: -1,
  timestamps: "writer",
  isCompacted: true,
} as const;
/** Longer than a session of a reader that died, and the rebalance after it. */
export const TAKEOVER_MS = 20_000;

export interface LettersHarness extends RedisHarness {
  readonly letters: PartitionedDeadLetters;
  readonly partitionLog: MemoryLog;
  readonly processClock: Clock;
  /** Of all processes, in order. */
  readonly removed: readonly DeliveryKey[];
  readonly poisoned: readonly string[];
  /** Whose held letters came late, `tenant endpoint`. */
  readonly late: readonly string[];
  /** While it is set, the index takes nothing. */
  isIndexAway: boolean;
}

interface World {
  broker: MemoryLog | null;
  isIndexAway: boolean;
  readonly removed: DeliveryKey[];
  readonly poisoned: string[];
  readonly late: string[];
}

interface Living {
  readonly letters: PartitionedDeadLetters;
  readonly ledger: RedisLedger;
  readonly partitionLog: MemoryLog;
  readonly clock: Clock;
}

/** The projector reads unless told: what it does must never show where the index was right already. */
export function lettersOpener(options: { readonly shards?: number; readonly isProjected?: boolean } = {}) {
  return async (bounds: HarnessBounds = {}): Promise<LettersHarness> => {
    const world: World = { broker: null, isIndexAway: false, removed: [], poisoned: [], late: [] };
    let living: Living | null = null;
    const open = openRedisHarness(
      async (process) => {
        living?.partitionLog.crash();
        const started = await start(process, world);
        living = started;
        // Joining takes time, which passes when a test lets it.
        if (options.isProjected !== false) void started.letters.startReading().catch(process.onFault);
        const { letters, ledger } = started;
        const lanes = withLedger(process.others.lanes, ledger, process.clock);
        return { deadLetters: letters, ledger, lanes, flush: () => ledger.flush() };
      },
      options.shards === undefined ? {} : { shards: options.shards },
    );
    const inner = await open(bounds);
    const current = (): Living => {
      assert.ok(living !== null);
      return living;
    };
    return Object.defineProperties({} as LettersHarness, {
      ...Object.getOwnPropertyDescriptors(inner),
      letters: { get: () => current().letters },
      partitionLog: { get: () => current().partitionLog },
      processClock: { get: () => current().clock },
      removed: { value: world.removed },
      poisoned: { value: world.poisoned },
      late: { value: world.late },
      isIndexAway: {
        get: () => world.isIndexAway,
        set(isAway: boolean) {
          world.isIndexAway = isAway;
        },
      },
    });
  };
}

async function start(process: RedisProcess, world: World): Promise<Living> {
  const { commands, keys, clock, worldClock, onFault } = process;
  if (world.broker === null) {
    world.broker = openMemoryLog({ clock: worldClock });
    await world.broker.ensureTopics([SPEC]);
  }
  const partitionLog = world.broker.forProcess(clock);
  const ledger = createRedisLedger({ spill: null, commands, keys, clock, onLost: () => undefined });
  const { deadLetterBytesMax: bytesMax } = process.bounds;
  const index = createRedisDeadLetterIndex({ commands, keys, ...(bytesMax === undefined ? {} : { bytesMax }) });
  const letters = createPartitionedDeadLetters({
    partitionLog,
    topic: TOPIC,
    group: GROUP,
    index: withSwitch(index, world),
    clock,
    entropy: plainChance,
    onPoison: ({ reason }) => Promise.resolve(void world.poisoned.push(reason)),
    onFault,
    onLate: (tenant, endpointId) => void world.late.push(`${tenant} ${endpointId}`),
    onRemoved: (gone) => void world.removed.push(...gone),
    onExpired: recordExpired(ledger, clock),
  });
  return { letters, ledger, partitionLog, clock };
}

/** As the whole set does. */
function recordExpired(ledger: RedisLedger, clock: Clock): PartitionedDeadLettersOptions["onExpired"] {
  return (dropped, reason) =>
    ledger.record(
      dropped.map((letter) => ({
        kind: "delivery",
        delivery: {
          ...letter,
          state: "expired",
          attempt: letter.attempts,
          atMs: clock.now(),
          result: null,
          groupId: null,
          nextAttemptAtMs: null,
          reason,
        },
      })),
    );
}

/** Tells the ledger of what comes, and, as a processor does before it lets go of an event, what became of it. */
function withLedger(lanes: Lanes, ledger: RedisLedger, clock: Clock): Lanes {
  const none = { matched: [], matchedCount: 0, filtered: [], filteredCount: 0 };
  return {
    ...lanes,
    async append(envelopes) {
      await ledger.remember(envelopes);
      await lanes.append(envelopes);
    },
    async ack(items) {
      ledger.record(
        items.map(({ envelope: { tenant, id } }) => ({
          kind: "fan-out",
          fanOut: { tenant, eventId: id, atMs: clock.now(), ...none },
        })),
      );
      await lanes.ack(items);
    },
  };
}

function withSwitch(index: DeadLetterIndex, world: Pick<World, "isIndexAway">): DeadLetterIndex {
  const guard = <Result>(work: () => Promise<Result>): Promise<Result> =>
    world.isIndexAway ? Promise.reject(new PosthasteError("store-unavailable", "Redis is away.")) : work();
  return {
    ...index,
    put: (letters) => guard(() => index.put(letters)),
    drop: (drops) => guard(() => index.drop(drops)),
  };
}
