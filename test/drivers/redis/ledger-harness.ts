/** The ledger in Redis for its tests, and what they look at. */
import assert from "node:assert/strict";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { RedisLedger } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import { createRedisLedger } from "@posthaste/shared/drivers/redis/ledger/ledger.ts";
import type { LedgerBounds } from "@posthaste/shared/drivers/redis/ledger/bounds.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import type { DeadLetters } from "@posthaste/shared/ports/dead-letters.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { DeliveryRecord, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { HarnessBounds } from "../../contract/harness.ts";
import type { RedisHarness } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";
import { ENDPOINT_ID, TENANT } from "../../support/samples.ts";

export const DAY_MS = 24 * 3600_000;
export const OF_ENDPOINT = { tenant: TENANT, endpointId: ENDPOINT_ID };
export const FAILED: AttemptResult = { kind: "fault", fault: "timeout", detail: "no answer", durationMs: 0.5 };

export const delivery = (record: DeliveryRecord): LedgerEntry => ({ kind: "delivery", delivery: record });

export interface LedgerHarness extends RedisHarness {
  readonly ledger: RedisLedger;
  readonly lost: readonly number[];
}

/** The other ports come from an embedded set; what they tell the ledger of a distributed set, they tell this one. */
export function openLedgerHarness(options: { readonly shards?: number; readonly bounds?: Partial<LedgerBounds> } = {}) {
  return async (harnessBounds: HarnessBounds = {}): Promise<LedgerHarness> => {
    const lost: number[] = [];
    const onLost = (count: number): void => void lost.push(count);
    let ledger: RedisLedger | undefined;
    const given = options.bounds === undefined ? {} : { bounds: options.bounds };
    const open = openRedisHarness(
      ({ commands, keys, clock }) => {
        const opened = createRedisLedger({ spill: null, commands, keys, clock, onLost, ...given });
        ledger = opened;
        return { ledger: opened, flush: () => opened.flush() };
      },
      options.shards === undefined ? {} : { shards: options.shards },
    );
    const inner = await open(harnessBounds);
    const current = (): RedisLedger => {
      assert.ok(ledger);
      return ledger;
    };
    return {
      clock: inner.clock,
      keys: inner.keys,
      faults: inner.faults,
      lost,
      get commands() {
        return inner.commands;
      },
      get ledger() {
        return current();
      },
      get drivers() {
        return withLedger(inner.drivers, current());
      },
      reopen: () => inner.reopen(),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  };
}

function withLedger(drivers: Drivers, ledger: RedisLedger): Drivers {
  return {
    ...drivers,
    lanes: {
      ...drivers.lanes,
      async append(envelopes) {
        await ledger.remember(envelopes);
        await drivers.lanes.append(envelopes);
      },
    },
    deadLetters: withRelease(drivers.deadLetters, ledger),
  };
}

function withRelease(deadLetters: DeadLetters, ledger: RedisLedger): DeadLetters {
  return {
    ...deadLetters,
    async remove(letters) {
      await deadLetters.remove(letters);
      await ledger.release(letters);
    },
  };
}

/** How many events and bytes the shard counts, and how many rows its lists of ENDPOINT_ID have. */
const WEIGH: RedisScript = {
  name: "test-weigh",
  returns: "text",
  lua: `local to = KEYS[1] .. ':to:${TENANT}:${ENDPOINT_ID}:'
    return {redis.call('ZCARD', KEYS[1] .. ':due'), redis.call('ZCARD', KEYS[1] .. ':events'),
      redis.call('ZCARD', KEYS[1] .. ':events:${TENANT}'), tonumber(redis.call('GET', KEYS[1] .. ':bytes') or 0),
      redis.call('ZCARD', to .. 'deliveries'), redis.call('ZCARD', to .. 'attempts')}`,
};

export async function weigh(harness: LedgerHarness): Promise<number[]> {
  const reply = await harness.commands.run(WEIGH, [harness.keys.key(0, "ledger")], []);
  assert.ok(Array.isArray(reply));
  return reply.map(Number);
}

const FORGET_WEIGHTS: RedisScript = {
  name: "test-forget-weights",
  returns: "text",
  lua: "return redis.call('DEL', KEYS[1] .. ':tenants')",
};

/** The ledger as a release left it that did not weigh tenants. */
export async function forgetWeights(harness: LedgerHarness): Promise<void> {
  await harness.commands.run(FORGET_WEIGHTS, [harness.keys.key(0, "ledger")], []);
}

export const idsKept = async (ledger: RedisLedger, tenant = TENANT) =>
  (await ledger.events({ tenant }, 1000, null)).rows.map(({ envelope }) => envelope.id);
