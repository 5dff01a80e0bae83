/**
 * What became of each event, on Redis: the port `ledger` with what the other drivers of the set tell it besides.
 * A delivered event is kept 24 h after its last news, one that owes an attempt 10 days, one that is held back 30 days
 * or until `release`; within the bounds of `bounds.ts`. All of a tenant lies in one shard.
 *
 * Unlike the embedded ledger it does not ask the queues: an event that waits in a lane for more than 10 days is gone.
 */
import type { DeliveryKey } from "../../../domain/delivery.ts";
import type { Envelope } from "../../../domain/envelope.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { Page } from "../../../ports/dead-letters.ts";
import type { AttemptFilter, EventFilter, Ledger, ListedEvent } from "../../../ports/ledger.ts";
import { joinCalls } from "../client/joined-calls.ts";
import { recordDamaged, storeUnavailable } from "../client/redis-faults.ts";
import { listOf } from "../client/reply.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { LedgerBounds } from "./bounds.ts";
import { LEDGER_BOUNDS } from "./bounds.ts";
import type { PartWish } from "./pages.ts";
import { PART_BYTES_MAX, parsePart, readPage } from "./pages.ts";
import { LIST_DELIVERIES, LIST_EVENTS, READ_COMPLETED, READ_EVENT } from "./read-scripts.ts";
import { attemptOf, deliveryOf, eventOf, listedEventOf } from "./record.ts";
import { createPlacing } from "./placing.ts";
import { createLedgerRecorder } from "./recorder.ts";
import type { Spill } from "./spilled-entry.ts";
import { unpackEntry } from "./spilled-entry.ts";
import { createLedgerWriter } from "./writer.ts";
import type { RedisArgument, RedisCommands, RedisReply } from "../client/redis-commands.ts";

export interface RedisLedger extends Ledger {
  /**
   * Makes events known, bodies included; for the lanes, before or with the append. Twice does nothing. Resolves with those
   * that were new. Rejects with `store-unavailable`, after 2 s at the latest, or `overloaded`; what to do then is the
   * lanes' choice, for the ledger is a projection.
   */
  remember(envelopes: readonly Envelope[]): Promise<readonly Envelope[]>;
  /**
   * As `remember`, for events that were accepted a while ago: those for which there is no room, or whose time is over, stay
   * out. In order; rejects with `store-unavailable`.
   */
  recall(envelopes: readonly Envelope[]): Promise<void>;
  /**
   * The append of these events failed. Those of which nothing was recorded are taken out; one that a reader met all the
   * same stays. Rejects as `remember` does.
   */
  forget(envelopes: readonly Envelope[]): Promise<void>;
  /**
   * The dead letters of these held-back deliveries were taken out: their events need not wait for them any more. An event
   * stays an hour at least, so that a delivery that is taken up again can be recorded as such.
   */
  release(keys: readonly DeliveryKey[]): Promise<void>;
  /**
   * Records what was spilled, in order; twice does nothing. Resolves with how many of the values do not read back. Rejects with
   * `store-unavailable`.
   */
  takeBack(values: readonly Uint8Array[]): Promise<number>;
  /** Resolves when all that was recorded so far is visible, spilled or counted as lost: some seconds at most without Redis. */
  flush(): Promise<void>;
}

export interface RedisLedgerOptions {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly clock: Pick<Clock, "monotonic" | "soon" | "sleep" | "timer">;
  /** `LEDGER_BOUNDS` for what is left out. */
  readonly bounds?: Partial<LedgerBounds>;
  /** False while calls to Redis fail at once: then nobody waits here for what is on its way. Always true unless given. */
  readonly isReachable?: () => boolean;
  /** Keeps durably what Redis does not take in time; rejects when it cannot. Null: it waits a minute for Redis, and is lost. */
  readonly spill: Spill | null;
  /** Gets the number of entries that a full buffer or absent stores cost. Must not throw. */
  readonly onLost: (count: number) => void;
}

/** A hash whose field `x` is the epoch ms from which the event is not kept any more (`events.lua`). */
export function ledgerEventKey(keys: KeySpace, tenant: string, eventId: string): string {
  return `${rootIn(keys, keys.shardOf(tenant))}:event:${tenant}:${eventId}`;
}

function rootIn(keys: KeySpace, shard: number): string {
  return keys.key(shard, "ledger");
}

/** Of the arguments of one question whether an attempt is made, about. */
const COMPLETED_BYTES = 300;

export function createRedisLedger(options: RedisLedgerOptions): RedisLedger {
  const { commands, keys, clock, spill, onLost, isReachable = () => true } = options;
  const rootAt = (shard: number): string => rootIn(keys, shard);
  const bounds = { ...LEDGER_BOUNDS, ...options.bounds };
  const shared = { commands, clock, bounds, rootOf: rootAt, shardOf: keys.shardOf };
  const writer = createLedgerWriter(shared);
  const recorder = createLedgerRecorder({ ...shared, spill, onLost });
  const placing = createPlacing(shared);
  const shardsAll = Array.from({ length: keys.shards }, (_, shard) => shard);
  const rootOfTenant = (tenant: string): string[] => [rootAt(keys.shardOf(tenant))];

  // After a restart or a rebalance each event of the backlog is asked about. By processors alone: at the edge a request may await
  // nothing that another one began.
  const askCompleted = joinCalls<readonly RedisArgument[], number>({
    clock,
    run: async (shard, asked) => listOf(await commands.run(READ_COMPLETED, [rootAt(shard)], asked.flat())).map(Number),
  });

  const lists: DeliveryLists = { commands, keys, rootOf: rootAt, written: recorder.written };

  return {
    record: recorder.record,
    recorded: () => recorder.placed().catch(() => undefined),
    flush: recorder.flush,
    async takeBack(values) {
      const read = values.map(unpackEntry);
      const entries = read.filter((entry) => entry !== null);
      for (const [shard, ofShard] of Map.groupBy(entries, ({ tenant }) => keys.shardOf(tenant))) {
        await placing.place(shard, ofShard, true);
      }
      return read.length - entries.length;
    },
    async recall(envelopes) {
      for (const [shard, ofShard] of Map.groupBy(envelopes, ({ tenant }) => keys.shardOf(tenant))) {
        await placing.recall(shard, ofShard);
      }
    },
    remember: writer.remember,
    async forget(envelopes) {
      await recorder.written();
      await writer.forget(envelopes);
    },
    async release(deliveries) {
      await recorder.written();
      await writer.release(deliveries);
    },
    async isCompleted({ tenant, eventId, acceptedAtMs, endpointId, generation }, attempt) {
      // A repeat that waits for an answer that will not come keeps its place, and what was delivered behind it comes again
      // after a crash.
      if (!isReachable()) throw storeUnavailable("Redis does not answer");
      await recorder.written();
      const asked = [tenant, eventId, endpointId, generation, attempt, acceptedAtMs];
      const answer = await askCompleted(keys.shardOf(tenant), asked, COMPLETED_BYTES);
      if (answer < 0) throw recordDamaged(`What Redis has of event ${eventId} is not the ledger's`);
      return answer === 1;
    },
    async event(tenant, eventId) {
      await recorder.written();
      const reply = await commands.run(READ_EVENT, rootOfTenant(tenant), [tenant, eventId]);
      return Array.isArray(reply) ? eventOf(...(reply as [RedisReply, RedisReply])) : null;
    },
    events(filter, limit, cursor) {
      const endpointId = "endpointId" in filter ? filter.endpointId : "";
      return readPage<ListedEvent>({
        list: endpointId === "" ? "events" : "events-to",
        limit,
        cursor,
        shards: filter.tenant === null ? shardsAll : [keys.shardOf(filter.tenant)],
        async read(shard, wish) {
          const head = listArguments(wish, filter);
          await recorder.written();
          const args = [...head, filter.tenant ?? "", filter.type ?? "", endpointId, filter.state ?? ""];
          return parsePart(await commands.run(LIST_EVENTS, [rootAt(shard)], args), listedEventOf);
        },
      });
    },
    deliveries: (filter, limit, cursor) => listDeliveries(lists, "deliveries", { filter, limit, cursor }, deliveryOf),
    attempts: (filter, limit, cursor) => listDeliveries(lists, "attempts", { filter, limit, cursor }, attemptOf),
  };
}

interface DeliveryLists extends Pick<RedisLedgerOptions, "commands" | "keys"> {
  readonly rootOf: (shard: number) => string;
  readonly written: () => Promise<void>;
}

/** Deliveries or attempts: the same walk over other rows. */
function listDeliveries<Row>(
  { commands, keys, rootOf, written }: DeliveryLists,
  list: "deliveries" | "attempts",
  request: { readonly filter: AttemptFilter; readonly limit: number; readonly cursor: string | null },
  show: (tenant: string, columns: readonly RedisReply[]) => Row | null,
): Promise<Page<Row>> {
  const { filter, limit, cursor } = request;
  const { tenant, eventId = "", endpointId = "", state = "", outcome = "", result = "" } = filter;
  return readPage({
    list,
    limit,
    cursor,
    shards: [keys.shardOf(tenant)],
    async read(shard, wish) {
      const head = listArguments(wish, filter);
      await written();
      const args = [...head, list, tenant, eventId, endpointId, state, outcome, result];
      const reply = await commands.run(LIST_DELIVERIES, [rootOf(shard)], args);
      return parsePart(reply, (columns) => show(tenant, columns));
    },
  });
}

/** The arguments that all lists begin with. */
function listArguments(
  { limit, lookedMax, after }: PartWish,
  filter: Pick<EventFilter, "sinceMs" | "untilMs">,
): RedisArgument[] {
  const { sinceMs = "", untilMs = "" } = filter;
  return [limit, lookedMax, PART_BYTES_MAX, after?.score ?? "", after?.member ?? "", sinceMs, untilMs];
}
