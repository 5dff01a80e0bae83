/**
 * The two ways into the ledger: `remember`, which its caller waits for, and `record`, which nobody waits for. Each is
 * batched by shard, one script for a batch. What is recorded is tried again while Redis is away and lost after that.
 */
import { PosthasteError } from "../../domain/errors.ts";
import type { DeliveryKey } from "../../domain/delivery.ts";
import type { Envelope } from "../../domain/envelope.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { Batcher, Settled } from "../../lib/batcher.ts";
import { createBatcher } from "../../lib/batcher.ts";
import type { LedgerEntry } from "../../ports/ledger.ts";
import type { KeySpace } from "./key-space.ts";
import type { LedgerBounds } from "./ledger-bounds.ts";
import { entryArguments, envelopeArguments, tenantOf } from "./ledger-record.ts";
import { RECORD, RELEASE, REMEMBER } from "./ledger-write-scripts.ts";
import type { RedisArgument, RedisCommands } from "./redis-commands.ts";

export interface LedgerWriter {
  record(entries: readonly LedgerEntry[]): void;
  remember(envelopes: readonly Envelope[]): Promise<void>;
  release(keys: readonly DeliveryKey[]): Promise<void>;
  /** Resolves when what was recorded before is visible, or lost. */
  written(): Promise<void>;
}

/** Events, or calls of `record`, in one script. */
const BATCH_ITEMS_MAX = 500;
/** Bytes of arguments in one script: some milliseconds. */
const BATCH_BYTES_MAX = 1024 * 1024;
/** What an entry counts beside its text, so that small ones bound the script, too. */
const ENTRY_BYTES = 2048;
/** Events that wait to be remembered, for each shard; past it `overloaded`. */
const REMEMBER_WAITING_MAX = 20_000;
/** A batch of records is given up after so many tries: 200 ms, 400 ms, ... apart, 3 s in all. */
const RECORD_TRIES_MAX = 5;
const RECORD_WAIT_MS = 200;

interface Recorded {
  readonly count: number;
  readonly args: readonly RedisArgument[];
}

interface ShardWriter {
  readonly recorder: Batcher<Recorded, void>;
  readonly rememberer: Batcher<Envelope, void>;
}

interface WriterOptions {
  readonly commands: Pick<RedisCommands, "run">;
  readonly clock: Pick<Clock, "soon" | "sleep">;
  readonly bounds: LedgerBounds;
  readonly rootOf: (shard: number) => string;
  readonly shardOf: KeySpace["shardOf"];
  readonly onLost: (count: number) => void;
}

export function createLedgerWriter(options: WriterOptions): LedgerWriter {
  const { commands, bounds, rootOf, shardOf, onLost } = options;
  /** At most one for each shard. */
  const writers = new Map<number, ShardWriter>();
  let waitingCount = 0;
  let lastWritten: Promise<unknown> = Promise.resolve();

  function writerOf(shard: number): ShardWriter {
    const known = writers.get(shard) ?? createShardWriter(options, shard);
    writers.set(shard, known);
    return known;
  }

  async function write(shard: number, item: Recorded): Promise<void> {
    const bytes = item.count * ENTRY_BYTES + item.args.reduce<number>((sum, arg) => sum + sizeOf(arg), 0);
    try {
      await writerOf(shard).recorder.add(item, bytes);
    } catch {
      onLost(item.count);
    } finally {
      waitingCount -= item.count;
    }
  }

  return {
    record(entries) {
      if (entries.length === 0) return;
      if (waitingCount + entries.length > bounds.entriesWaitingMax) return onLost(entries.length);
      waitingCount += entries.length;
      const writes = groupByShard(entries, (entry) => shardOf(tenantOf(entry))).map(([shard, ofShard]) =>
        write(shard, { count: ofShard.length, args: ofShard.flatMap(entryArguments) }),
      );
      // Batches of a shard are written in order, but shards are not: the chain covers what any of them still has.
      lastWritten = Promise.all([lastWritten, ...writes]);
    },
    async remember(envelopes) {
      await Promise.all(
        envelopes.map((envelope) =>
          writerOf(shardOf(envelope.tenant)).rememberer.add(envelope, envelope.body.length + ENTRY_BYTES),
        ),
      );
    },
    async release(keys) {
      await lastWritten;
      await Promise.all(
        groupByShard(keys, ({ tenant }) => shardOf(tenant)).map(([shard, ofShard]) =>
          commands.run(
            RELEASE,
            [rootOf(shard)],
            [
              bounds.bytesPerShardMax,
              ...ofShard.flatMap(({ tenant, eventId, endpointId, generation }) => [
                tenant,
                eventId,
                endpointId,
                generation,
              ]),
            ],
          ),
        ),
      );
    },
    async written() {
      await lastWritten;
    },
  };
}

function createShardWriter(options: WriterOptions, shard: number): ShardWriter {
  const { commands, clock, bounds } = options;
  const keys = [options.rootOf(shard)];
  const limits = { itemsMax: BATCH_ITEMS_MAX, bytesMax: BATCH_BYTES_MAX };
  const overflow = () => new PosthasteError("overloaded", "Too many events wait for the ledger. Try again later.");
  const recordHead = [
    bounds.bytesPerShardMax,
    bounds.deliveriesPerEventMax,
    bounds.deliveriesPerEndpointMax,
    bounds.attemptsPerEndpointMax,
  ];
  const rememberHead = [bounds.eventsPerTenantMax, bounds.bytesPerShardMax];
  return {
    recorder: createBatcher<Recorded, void>({
      clock,
      ...limits,
      waitingMax: bounds.entriesWaitingMax,
      overflow,
      async flush(items) {
        const args = [...recordHead, ...items.flatMap((item) => item.args)];
        await tryAgain(clock, () => commands.run(RECORD, keys, args));
        return items.map(() => DONE);
      },
    }),
    rememberer: createBatcher<Envelope, void>({
      clock,
      ...limits,
      waitingMax: REMEMBER_WAITING_MAX,
      overflow,
      async flush(envelopes) {
        await commands.run(REMEMBER, keys, [...rememberHead, ...envelopes.flatMap(envelopeArguments)]);
        return envelopes.map(() => DONE);
      },
    }),
  };
}

const DONE: Settled<void> = { kind: "done", value: undefined };
/** Nothing cuts the tries short: they are bounded by themselves. */
const NEVER = new AbortController().signal;

async function tryAgain(clock: Pick<Clock, "sleep">, run: () => Promise<unknown>): Promise<void> {
  for (let count = 1; ; count++) {
    try {
      await run();
      return;
    } catch (error) {
      const mayPass = error instanceof PosthasteError && error.retriable;
      if (!mayPass || count === RECORD_TRIES_MAX) throw error;
      await clock.sleep(RECORD_WAIT_MS * 2 ** (count - 1), NEVER);
    }
  }
}

function sizeOf(arg: RedisArgument): number {
  return typeof arg === "number" ? 8 : arg.length;
}

function groupByShard<Item>(items: readonly Item[], shardOf: (item: Item) => number): [number, Item[]][] {
  const groups = new Map<number, Item[]>();
  for (const item of items) {
    const shard = shardOf(item);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [item]);
    else group.push(item);
  }
  return [...groups];
}
