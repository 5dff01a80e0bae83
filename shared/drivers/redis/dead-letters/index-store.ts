/**
 * The index of dead letters in Redis, bodies included, bounded in bytes. A tenant's dead letters lie in its shard; an id does
 * not say which that is, so that questions by id go to every shard.
 */
import { assert } from "../../../lib/assert.ts";
import type {
  DeadLetterIndex,
  DroppedDeadLetter,
  IndexedDeadLetter,
  DeadLetterPlace,
  ReadDeadLetterRecord,
  StrayDeadLetterRecord,
} from "../../../ports/dead-letter-index.ts";
import type { DeliveredSince } from "../../../ports/dead-letters.ts";
import { createDeadLetterLists } from "./lists.ts";
import { envelopeArgument, deadLetterOf, metaOf, metaText } from "./meta.ts";
import {
  DELIVERED_DEAD_LETTERS,
  DROP_DEAD_LETTERS,
  PUT_DEAD_LETTERS,
  READ_DEAD_LETTER,
  STRAY_DEAD_LETTERS,
  WHOLE_DEAD_LETTERS,
} from "./scripts.ts";
import type { KeySpace } from "../client/key-space.ts";
import { replyText } from "../ledger/record.ts";
import { listOf } from "../client/reply.ts";
import type { RedisArgument, RedisCommands, RedisReply, RedisScript } from "../client/redis-commands.ts";

/** Packed envelopes and what is told of them, of all shards together. */
export const DEAD_LETTER_INDEX_BYTES_MAX = 512 * 1024 ** 2;
/** Dead letters of all shards together: what Redis keeps of each beside that is about 1 KB (Redis 7.0). */
export const DEAD_LETTER_INDEX_COUNT_MAX = 500_000;
/** Dead letters, and bytes of their bodies, in one script; one dead letter goes whatever it weighs. */
const PUT_DEAD_LETTERS_MAX = 100;
const PUT_BYTES_MAX = 4 * 1024 ** 2;
/** Ids in one script. */
const IDS_MAX = 500;

export interface RedisDeadLetterIndexOptions {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  /** Gets each dead letter that a list passes over, since its record does not read back. */
  readonly onFault?: (error: unknown) => void;
  /** `DEAD_LETTER_INDEX_BYTES_MAX`; each shard has its equal part. */
  readonly bytesMax?: number;
  /** `DEAD_LETTER_INDEX_COUNT_MAX`; likewise. */
  readonly countMax?: number;
}

/** Everything rejects with `store-unavailable` when Redis does not answer. */
export function createRedisDeadLetterIndex(options: RedisDeadLetterIndexOptions): DeadLetterIndex {
  const { commands, keys } = options;
  const { bytesMax = DEAD_LETTER_INDEX_BYTES_MAX, countMax = DEAD_LETTER_INDEX_COUNT_MAX } = options;
  const shards = Array.from({ length: keys.shards }, (_, shard) => shard);
  const run = (shard: number, script: RedisScript, args: readonly RedisArgument[]): Promise<RedisReply> =>
    commands.run(script, [keys.key(shard, "dead")], args);
  const lists = createDeadLetterLists({ commands, keys, onFault: options.onFault ?? (() => undefined) });

  /** The same arguments, three or one for each id, to every shard; what all of them answer. */
  async function everywhere(script: RedisScript, perId: readonly (readonly RedisArgument[])[]) {
    const found: DroppedDeadLetter[] = [];
    for (let from = 0; from < perId.length; from += IDS_MAX) {
      const args = perId.slice(from, from + IDS_MAX).flat();
      const replies = await Promise.all(shards.map((shard) => run(shard, script, args)));
      found.push(...replies.flatMap(droppedOf));
    }
    return found;
  }

  /** Part after part, so that a dead letter's own news stay in order. The last reply names what made room for any. */
  async function putShard(
    shard: number,
    deadLetters: readonly IndexedDeadLetter[],
  ): Promise<readonly DroppedDeadLetter[]> {
    const bounds = [Math.floor(bytesMax / keys.shards), Math.ceil(countMax / keys.shards)];
    let dropped: readonly DroppedDeadLetter[] = [];
    for (const part of partsOf(deadLetters)) {
      dropped = droppedOf(await run(shard, PUT_DEAD_LETTERS, [...bounds, ...part.flatMap(putArguments)]));
    }
    return dropped;
  }

  async function deliveredIn(
    shard: number,
    delivered: readonly DeliveredSince[],
  ): Promise<readonly DroppedDeadLetter[]> {
    const found: DroppedDeadLetter[] = [];
    for (let from = 0; from < delivered.length; from += IDS_MAX) {
      const part = delivered.slice(from, from + IDS_MAX);
      const args = part.flatMap(({ tenant, endpointId, eventId, atMs }) => [tenant, endpointId, eventId, atMs]);
      found.push(...droppedOf(await run(shard, DELIVERED_DEAD_LETTERS, args)));
    }
    return found;
  }

  async function straysOf(records: readonly ReadDeadLetterRecord[]): Promise<readonly StrayDeadLetterRecord[]> {
    const args = records.flatMap(({ id, revision, place, isTombstone }) => [
      id,
      revision ?? "",
      placeText(place),
      isTombstone ? 1 : 0,
    ]);
    // A tombstone does not say whose it is, and each shard has the mark of what was dropped.
    const replies = await Promise.all(shards.map((shard) => run(shard, STRAY_DEAD_LETTERS, args)));
    const kinds = replies.map((reply) => listOf(reply).map(String));
    return records.flatMap(({ id, revision }, index): readonly StrayDeadLetterRecord[] => {
      const said = new Set(kinds.map((each) => each[index]));
      if (said.has("outdated")) return [{ kind: "outdated", id }];
      return said.has("gone") && !said.has("here") ? [{ kind: "gone", id, revision }] : [];
    });
  }

  const askWhole = (step: "look" | "begin" | "end", token: string): Promise<readonly RedisReply[]> =>
    Promise.all(shards.map((shard) => run(shard, WHOLE_DEAD_LETTERS, [step, token])));

  return {
    bytesMax,
    countMax,
    async put(deadLetters) {
      const byShard = Map.groupBy(deadLetters, ({ deadLetter }) => keys.shardOf(deadLetter.tenant));
      return (await Promise.all(Array.from(byShard, ([shard, own]) => putShard(shard, own)))).flat();
    },
    drop: (drops) =>
      everywhere(
        DROP_DEAD_LETTERS,
        drops.map(({ id, revision, place }) => [id, revision ?? "", placeText(place)]),
      ),
    async find(id) {
      const replies = await Promise.all(shards.map((shard) => run(shard, READ_DEAD_LETTER, [id])));
      const columns = replies.find((reply) => Array.isArray(reply));
      return columns === undefined ? null : deadLetterOf([id, ...(columns as readonly RedisReply[])]);
    },
    async delivered(delivered) {
      const byShard = Map.groupBy(delivered, ({ tenant }) => keys.shardOf(tenant));
      return (await Promise.all(Array.from(byShard, ([shard, own]) => deliveredIn(shard, own)))).flat();
    },
    async strays(records) {
      const found: StrayDeadLetterRecord[] = [];
      for (let from = 0; from < records.length; from += IDS_MAX) {
        found.push(...(await straysOf(records.slice(from, from + IDS_MAX))));
      }
      return found;
    },
    isWhole: async () => (await askWhole("look", "")).every((reply) => Number(reply) === 1),
    beginFilling: async (token) => void (await askWhole("begin", token)),
    endFilling: async (token) => void (await askWhole("end", token)),
    list: lists.list,
    count: lists.count,
  };
}

function* partsOf(deadLetters: readonly IndexedDeadLetter[]): Generator<readonly IndexedDeadLetter[]> {
  let part: IndexedDeadLetter[] = [];
  let bytes = 0;
  for (const indexed of deadLetters) {
    const weight = indexed.deadLetter.envelope.body.length;
    if (part.length > 0 && (part.length >= PUT_DEAD_LETTERS_MAX || bytes + weight > PUT_BYTES_MAX)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(indexed);
    bytes += weight;
  }
  if (part.length > 0) yield part;
}

function putArguments({ deadLetter, revision, place }: IndexedDeadLetter): readonly RedisArgument[] {
  const packed = envelopeArgument(deadLetter);
  return [deadLetter.id, metaText(deadLetter, revision, packed.length), packed, placeText(place)];
}

function placeText(place: DeadLetterPlace | null): string {
  return place === null ? "" : `${place.partition}:${place.offset}`;
}

function droppedOf(reply: RedisReply): readonly DroppedDeadLetter[] {
  assert(Array.isArray(reply), "dead letters come as a list");
  const flat = reply as readonly RedisReply[];
  const dropped: DroppedDeadLetter[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const meta = metaOf(flat[index + 1] ?? null);
    if (meta === null) continue;
    dropped.push({
      id: replyText(flat[index] ?? null),
      revision: meta.revision,
      tenant: meta.tenant,
      eventId: meta.event,
      endpointId: meta.endpoint,
      generation: meta.generation,
      eventType: meta.type,
      state: meta.state,
      attempts: meta.attempts,
    });
  }
  return dropped;
}
