/** The directory's scripts as typed calls: which keys they take, and what their answers mean. */
import type { Endpoint } from "../../../domain/endpoint.ts";
import type { HeldTenant } from "./memory.ts";
import type { OrderedList } from "../client/page.ts";
import { encodeCursor, readPage } from "../client/page.ts";
import { placeOf } from "./record.ts";
import { sortableTime } from "../client/page.ts";
import { directoryRepair } from "./repair-script.ts";
import { listOf, numberOf, pairsOf, textOf, textOrNull } from "../client/reply.ts";
import * as scripts from "./scripts.ts";
import type { KeySpace } from "../client/key-space.ts";
import { setOnce } from "../client/set-once.ts";
import { announcementChannel, announcementMessage } from "../notifier.ts";
import type { RedisCommands } from "../client/redis-commands.ts";

/** Epoch and version that a process goes by: a write is refused as `lost` when Redis shows others, or older. */
export interface Seen {
  readonly epoch: string;
  readonly version: number;
}

export interface VersionReply {
  /** Null: Redis has lost it. */
  readonly epoch: string | null;
  readonly version: number;
}

/** False: Redis lost what this process has seen. */
export function isAsSeen(reply: VersionReply, seen: Seen): reply is VersionReply & { readonly epoch: string } {
  return reply.epoch === seen.epoch && reply.version >= seen.version;
}

export interface ReadReply extends VersionReply {
  /** Endpoint id, place and text, unsorted; null when nothing changed since what was `seen`. */
  readonly stored: ReturnType<typeof pairsOf> | null;
  /** `stored` is what changed since then; null as the text of what was removed. */
  readonly isPart: boolean;
}

export interface FindReply extends VersionReply {
  /** Place and text; null when there is no such endpoint. */
  readonly stored: string | null;
}

/** An endpoint of a list, as it is kept. */
export interface ListedEndpoint {
  readonly tenant: string;
  readonly id: string;
  readonly stored: string;
  /** Of what follows it. */
  readonly cursor: string;
}

export type DirectoryStore = ReturnType<typeof createDirectoryStore>;

/** Tenants without endpoints whose version is kept, in each shard: some 10 MB. */
const EMPTY_TENANTS_MAX = 100_000;

const ENDPOINTS: OrderedList = {
  letter: "n",
  member: /^\d{16}:\d{16}:[^:\s]{1,80}(?::[A-Za-z0-9_-]{1,64})?$/,
  isNewestFirst: false,
};

/** Every call rejects with `store-unavailable` when Redis does not answer. */
export function createDirectoryStore(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  /** Of each shard. */
  readonly emptyTenantsMax?: number;
}) {
  const { commands, keys, emptyTenantsMax = EMPTY_TENANTS_MAX } = options;
  const keysOf = createDirectoryKeys(keys);
  const news = (tenant: string, endpointId: string): string[] => [
    announcementChannel(keys),
    announcementMessage({ kind: "directory-changed", tenant, endpointId }),
  ];
  return {
    /** Null: there is none yet. */
    async epoch(shard: number): Promise<string | null> {
      return textOrNull(await commands.run(scripts.directoryEpoch, [keysOf.epoch(shard)], []));
    },
    async open(shard: number, fresh: string): Promise<string> {
      return setOnce(commands, keysOf.epoch(shard), fresh);
    },
    async version(tenant: string): Promise<VersionReply> {
      const reply = listOf(
        await commands.run(scripts.directoryVersion, [...keysOf.state(tenant), keysOf.forgotten(tenant)], []),
      );
      return { epoch: textOrNull(reply[0]), version: numberOf(reply[1]) };
    },
    async read(tenant: string, seen: Seen | null): Promise<ReadReply> {
      const args = seen === null ? ["", ""] : [seen.epoch, seen.version];
      const touched = keysOf.one(tenant);
      const [epoch, version, stored, part] = listOf(await commands.run(scripts.directoryRead, touched, args));
      return {
        epoch: textOrNull(epoch),
        version: numberOf(version),
        stored: stored === undefined ? null : pairsOf(stored),
        isPart: part !== undefined,
      };
    },
    async find(tenant: string, id: string): Promise<FindReply> {
      const touched = keysOf.one(tenant);
      const [epoch, version, stored] = listOf(await commands.run(scripts.directoryFind, touched, [id]));
      return { epoch: textOrNull(epoch), version: numberOf(version), stored: textOrNull(stored) };
    },
    async create(seen: Seen, endpoint: Endpoint, text: string, endpointsMax: number): Promise<string> {
      const { id, tenant, createdAtMs } = endpoint;
      const args = [seen.epoch, seen.version, id, sortableTime(createdAtMs), text, tenant, endpointsMax];
      return textOf(await commands.run(scripts.directoryCreate, keysOf.all(tenant), [...args, ...news(tenant, id)]));
    },
    /** `stored` as it was read; `text` takes the place of what follows its place. */
    async update(seen: Seen, tenant: string, id: string, stored: string, text: string): Promise<string> {
      const touched = keysOf.one(tenant);
      const args = [seen.epoch, seen.version, id, stored, placeOf(stored) + text];
      return textOf(await commands.run(scripts.directoryUpdate, touched, [...args, ...news(tenant, id)]));
    },
    /** `id`, what was read and what takes its place, each of the tenant. How many were written; null: Redis lost what was seen. */
    async reseal(seen: Seen, tenant: string, rows: readonly (readonly [string, string, string])[]) {
      const args = [seen.epoch, seen.version, ...rows.flat(), ...news(tenant, rows[0]?.[0] ?? "")];
      const answer = textOf(await commands.run(scripts.directoryReseal, keysOf.one(tenant), args));
      return answer === "lost" ? null : Number(answer);
    },
    async remove(seen: Seen, tenant: string, id: string): Promise<string> {
      const args = [seen.epoch, seen.version, id, tenant, emptyTenantsMax, ...news(tenant, id)];
      return textOf(await commands.run(scripts.directoryRemove, keysOf.all(tenant), args));
    },
    /** Writes memory back unless that was done already; the epoch that holds afterwards. */
    async repair({ tenant, epoch, known, stored }: HeldTenant, fresh: string): Promise<string> {
      const endpoints = Array.from(stored, ([id, kept]) => [id, kept.stored]).flat();
      const args = [epoch, known.version, fresh, tenant, emptyTenantsMax, ...endpoints];
      return textOf(listOf(await commands.run(directoryRepair, keysOf.repaired(tenant), args))[0]);
    },
    async list(tenant: string | null, limit: number, cursor: string | null) {
      const orders = tenant === null ? keysOf.shardOrders() : [keysOf.order(tenant)];
      const { members, next } = await readPage(commands, ENDPOINTS, orders, limit, cursor);
      const named = members.map((member) => ({ ...nameOf(member, tenant), cursor: encodeCursor(ENDPOINTS, member) }));
      return { rows: await pick(commands, keys, keysOf.endpoints, named), next };
    },
  };
}

/** An endpoint that was removed since its order was read is left out. */
async function pick(
  commands: Pick<RedisCommands, "run">,
  keys: KeySpace,
  endpointsKey: (tenant: string) => string,
  named: readonly Omit<ListedEndpoint, "stored">[],
): Promise<readonly ListedEndpoint[]> {
  const places = named.map(({ tenant }, index) => ({ index, shard: keys.shardOf(tenant) }));
  const byShard = Map.groupBy(places, ({ shard }) => shard);
  const found: ListedEndpoint[] = [];
  await Promise.all(
    Array.from(byShard.values(), async (group) => {
      const wanted = group.flatMap(({ index }) => named[index] ?? []);
      const touched = wanted.map(({ tenant }) => endpointsKey(tenant));
      const ids = wanted.map(({ id }) => id);
      const replies = listOf(await commands.run(scripts.directoryPick, touched, ids));
      for (const [at, { index }] of group.entries()) {
        const stored = textOrNull(replies[at]);
        const name = named[index];
        if (stored !== null && name !== undefined) found[index] = { ...name, stored };
      }
    }),
  );
  return found.filter((row) => row !== undefined);
}

function createDirectoryKeys(keys: KeySpace) {
  const epoch = (shard: number): string => keys.key(shard, "directory:marker");
  const ofTenant = (name: string) => (tenant: string) => keys.key(keys.shardOf(tenant), `directory:${name}:${tenant}`);
  const [version, endpoints] = [ofTenant("version"), ofTenant("endpoints")];
  const [changes, order, note] = [ofTenant("changes"), ofTenant("order"), ofTenant("repaired")];
  const ofShard = (name: string) => (tenant: string) => keys.key(keys.shardOf(tenant), `directory:${name}`);
  const [orders, emptied, forgotten] = [ofShard("order"), ofShard("emptied"), ofShard("forgotten")];
  const state = (tenant: string): string[] => [epoch(keys.shardOf(tenant)), version(tenant)];
  const rows = (tenant: string): string[] => [...state(tenant), endpoints(tenant), changes(tenant)];
  const lists = (tenant: string): string[] => [...rows(tenant), order(tenant), orders(tenant)];
  const ends = (tenant: string): string[] => [emptied(tenant), forgotten(tenant)];
  return {
    epoch,
    endpoints,
    order,
    forgotten,
    shardOrders: () => Array.from({ length: keys.shards }, (_, shard) => keys.key(shard, "directory:order")),
    state,
    one: (tenant: string): string[] => [...rows(tenant), forgotten(tenant)],
    all: (tenant: string): string[] => [...lists(tenant), ...ends(tenant)],
    repaired: (tenant: string): string[] => [...lists(tenant), note(tenant), ...ends(tenant)],
  };
}

function nameOf(member: string, ofTenant: string | null): { readonly tenant: string; readonly id: string } {
  const [, , id = "", tenant = ""] = member.split(":");
  return { id, tenant: ofTenant ?? tenant };
}
