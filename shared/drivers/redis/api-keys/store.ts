/** The API-key store's scripts as typed calls: which keys they take, and what their answers mean. */
import type { ApiKey } from "../../../domain/api-key.ts";
import { ApiKeyRecord, keyEndsAtMs } from "../../../domain/api-key.ts";
import { TimeMs } from "../../../domain/id.ts";
import * as v from "valibot";
import type { OrderedList } from "../client/page.ts";
import { readPage } from "../client/page.ts";
import { sortableTime } from "../client/page.ts";
import { recordDamaged } from "../client/redis-faults.ts";
import { isDamage } from "../../../domain/errors.ts";
import { jsonOf, listOf, numberOf, textOf, textOrNull } from "../client/reply.ts";
import type { KeySpace } from "../client/key-space.ts";
import { setOnce } from "../client/set-once.ts";
import * as scripts from "./scripts.ts";
import type { RedisCommands, RedisReply } from "../client/redis-commands.ts";

/** What is kept as JSON; the revocation is a field beside it, so that it can be set without reading. */
type KeyText = Omit<ApiKey, "revokedAtMs">;

/** A key as it is kept. Each change of it has a higher revision, so that an older state is known for what it is. */
export interface KeyRecord {
  readonly key: ApiKey;
  readonly revision: number;
}

export type ApiKeyRecords = ReturnType<typeof createApiKeyRecords>;

/** Ended keys that are kept. */
export interface EndedBounds {
  readonly tenantMax: number;
  readonly shardMax: number;
}

/** Of each bound; one more key costs one that falls, so what is over is soon gone. */
const DROPPED_AT_ONCE = 10;

const API_KEYS: OrderedList = { letter: "k", member: /^\d{16}:[^:\s]{1,80}:[^:\s]{1,100}$/, isNewestFirst: true };

/** Every call rejects with `store-unavailable` when Redis does not answer. */
export function createApiKeyRecords(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
}) {
  const { commands, keys } = options;
  const recordKey = (hash: string): string => keys.key(keys.shardOf(hash), `apiKey:${hash}`);
  const nameKey = (id: string): string => keys.key(keys.shardOf(id), `apiKeyName:${id}`);
  const epochKey = (shard: number): string => keys.key(shard, "apiKeys:epoch");
  const lossKey = (shard: number): string => keys.key(shard, "apiKeys:loss");
  const lists = createListKeys(keys);

  async function pick(hashes: readonly string[]): Promise<readonly ApiKey[]> {
    const byShard = Map.groupBy(hashes, (hash) => keys.shardOf(hash));
    const found = new Map<string, ApiKey>();
    await Promise.all(
      Array.from(byShard.values(), async (group) => {
        const replies = listOf(await commands.run(scripts.keyPick, group.map(recordKey), []));
        for (const [index, hash] of group.entries()) {
          const key = listedKeyOf(replies[index]);
          if (key !== null) found.set(hash, key);
        }
      }),
    );
    return hashes.flatMap((hash) => found.get(hash) ?? []);
  }

  /** The record, and what tells whether Redis is the one that was seen before. `isKnown`: its caller can do without. */
  async function look(
    hash: string,
    isKnown: boolean,
  ): Promise<{ record: KeyRecord | null; epoch: string | null; isLost: boolean }> {
    const shard = keys.shardOf(hash);
    const names = [recordKey(hash), epochKey(shard), lossKey(shard)];
    const [epoch, mark, ...record] = listOf(
      await commands.run(isKnown ? scripts.keyReadAgain : scripts.keyRead, names, []),
    ).map(textOrNull);
    return { record: recordOf(record), epoch: epoch ?? null, isLost: mark !== null };
  }

  return {
    look,
    shards: keys.shards,
    shardOf: (hash: string): number => keys.shardOf(hash),
    /** Null: there is none. */
    epoch: async (shard: number): Promise<string | null> =>
      textOrNull(await commands.run(scripts.keyEpoch, [epochKey(shard)], [])),
    /** The epoch that holds: `fresh` where there was none. */
    beginEpoch: (shard: number, fresh: string): Promise<string> => setOnce(commands, epochKey(shard), fresh),
    async noteLoss(shard: number, ms: number): Promise<void> {
      await commands.run(scripts.keyNoteLoss, [lossKey(shard)], [ms]);
    },
    /** With a revision above that of Redis and above `seen`. */
    async write(key: ApiKey, seen: number): Promise<KeyRecord> {
      const revision = numberOf(await commands.run(scripts.keyWrite, [recordKey(key.hash)], [...textsOf(key), seen]));
      return { key, revision };
    },
    /** Writes it unless Redis has one that is as new; the one that holds. */
    async restore({ key, revision }: KeyRecord): Promise<KeyRecord> {
      const reply = await commands.run(scripts.keyRestore, [recordKey(key.hash)], [...textsOf(key), revision]);
      return recordOf(reply) ?? { key, revision };
    },
    /** Keeps the time of an earlier revocation; null when there is no such key. */
    async revoke(hash: string, atMs: number, seen: number): Promise<KeyRecord | null> {
      return recordOf(await commands.run(scripts.keyRevoke, [recordKey(hash)], [atMs, seen]));
    },
    async writeName({ id, hash }: ApiKey): Promise<void> {
      await commands.run(scripts.keyNameWrite, [nameKey(id)], [hash]);
    },
    async hashOf(id: string): Promise<string | null> {
      return textOrNull(await commands.run(scripts.keyNameRead, [nameKey(id)], []));
    },
    /** False when the tenant has `keysMax` other usable keys. `old` is the same key as it is listed now. */
    async enlist(key: ApiKey, old: ApiKey | null, keysMax: number): Promise<boolean> {
      const replaced = old === null || old.tenant !== key.tenant ? "" : memberOf(old);
      const args = [memberOf(key), replaced, keyEndsAtMs(key) ?? "", keysMax, key.tenant ?? ""];
      return textOf(await commands.run(scripts.keyList, lists.ofTenant(key.tenant), args)) === "ok";
    },
    async unlist(key: ApiKey): Promise<void> {
      await commands.run(scripts.keyUnlist, lists.ofTenant(key.tenant), [memberOf(key), key.tenant ?? ""]);
    },
    async enlistRevoked(key: ApiKey): Promise<void> {
      const args = [memberOf(key), key.revokedAtMs ?? 0, key.tenant ?? ""];
      await commands.run(scripts.keyListRevoked, lists.ofTenant(key.tenant), args);
    },
    /**
     * Forgets ended keys beyond the bounds of the tenant and of its shard, a few at a time; their hashes. The lists are last:
     * after a crash the rest of a key is found by them again.
     */
    async dropEnded(tenant: string | null, bounds: EndedBounds): Promise<readonly string[]> {
      const [, ofTenant = "", , ofShard = ""] = lists.ofTenant(tenant);
      const past = async (list: string, most: number) =>
        listOf(await commands.run(scripts.keyListEnded, [list], [most, DROPPED_AT_ONCE])).map(textOf);
      const own = (await past(ofTenant, bounds.tenantMax)).map((member) => ({ ...partsOf(member), tenant }));
      const others = (await past(ofShard, bounds.shardMax)).map((member) => partsOf(member));
      const fallen = [...own, ...others];
      for (const { member, id, hash, tenant: owner } of fallen) {
        await commands.run(scripts.keyDrop, [recordKey(hash)], []);
        await commands.run(scripts.keyDrop, [nameKey(id)], []);
        await commands.run(scripts.keyUnlist, lists.ofTenant(owner), [member, owner ?? ""]);
      }
      return fallen.map(({ hash }) => hash);
    },
    async dropName(id: string): Promise<void> {
      await commands.run(scripts.keyDrop, [nameKey(id)], []);
    },
    async list(tenant: string | null, limit: number, cursor: string | null) {
      const orders = tenant === null ? lists.ofShards() : lists.ofTenant(tenant).slice(0, 1);
      const { members, next } = await readPage(commands, API_KEYS, orders, limit, cursor);
      return { rows: await pick(members.map((member) => partsOf(member).hash)), next };
    },
  };
}

function createListKeys(keys: KeySpace) {
  const ofShard = (shard: number): string => keys.key(shard, "apiKeys:order");
  return {
    /**
     * Order of the tenant, its keys with an end, order of the shard, the shard's keys with an end. Keys of operators lie
     * under the empty name, which no tenant has, and not in the last one.
     */
    ofTenant(tenant: string | null): string[] {
      const name = tenant ?? "";
      const shard = keys.shardOf(name);
      const own = [keys.key(shard, `apiKeys:of:${name}`), keys.key(shard, `apiKeys:ends:${name}`)];
      return [...own, ofShard(shard), keys.key(shard, "apiKeys:end")];
    },
    ofShards: (): string[] => Array.from({ length: keys.shards }, (_, shard) => ofShard(shard)),
  };
}

function memberOf({ createdAtMs, id, hash }: ApiKey): string {
  return `${sortableTime(createdAtMs)}:${id}:${hash}`;
}

/** Of a member of an order, or of the shard's keys with an end, where the tenant stands behind it. */
function partsOf(text: string) {
  const [createdAt = "", id = "", hash = "", tenant = null] = text.split(":");
  return { member: `${createdAt}:${id}:${hash}`, id, hash, tenant };
}

/** The JSON of the record, and the time of its revocation. */
function textsOf({ revokedAtMs, ...text }: ApiKey): readonly [string, string | number] {
  return [JSON.stringify(text satisfies KeyText), revokedAtMs ?? ""];
}

/** Records of earlier releases have no revision. Throws damage for what does not read back: whether it is valid is not known. */
function recordOf(reply: RedisReply | undefined): KeyRecord | null {
  if (reply === null || reply === undefined) return null;
  const [record, revokedAtMs, revision] = listOf(reply).map(textOrNull);
  if (record === null || record === undefined) return null;
  const key = v.safeParse(ApiKeyRecord, jsonOf(record));
  const isRevoked = revokedAtMs !== null && revokedAtMs !== undefined;
  const revocation = v.safeParse(v.nullable(TimeMs), isRevoked ? numberOf(revokedAtMs) : null);
  if (!key.success || !revocation.success) {
    throw recordDamaged("The record of an API key in Redis is not one of ours");
  }
  return { key: { ...key.output, revokedAtMs: revocation.output }, revision: numberOf(revision ?? "0") };
}

/** In a list one that does not read back costs itself. */
function listedKeyOf(reply: RedisReply | undefined): ApiKey | null {
  try {
    return recordOf(reply)?.key ?? null;
  } catch (error) {
    if (isDamage(error)) return null;
    throw error;
  }
}
