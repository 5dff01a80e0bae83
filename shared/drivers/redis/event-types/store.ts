/** The scripts of the catalogue as typed calls. All of it lies in the first shard: it is one for the deployment. */
import * as v from "valibot";
import type { Catalogue, CatalogueType } from "../../../domain/event-types.ts";
import { catalogueOf, CatalogueTypeRecord } from "../../../domain/event-types.ts";
import { isDamage } from "../../../domain/errors.ts";
import type { KeySpace } from "../client/key-space.ts";
import { luaScript } from "../client/lua-script.ts";
import type { RedisCommands, RedisScript } from "../client/redis-commands.ts";
import { STALL_MS } from "../client/redis-commands.ts";
import { recordDamaged } from "../client/redis-faults.ts";
import { jsonOf, listOf, numberOf, pairsOf, textOf } from "../client/reply.ts";
import { announcementChannel, announcementMessage } from "../notifier.ts";

const READ: RedisScript = luaScript({ name: "event-types-read", returns: "text", files: ["event-types/read"] });
/** By one that knows a catalogue, and can go on with it. */
const READ_AGAIN: RedisScript = { ...READ, silenceMsMax: STALL_MS };
const CHANGE: RedisScript = luaScript({ name: "event-types-change", returns: "text", files: ["event-types/change"] });
const RESTORE: RedisScript = luaScript({
  name: "event-types-restore",
  returns: "text",
  files: ["event-types/restore"],
});

export interface CatalogueBounds {
  readonly typesMax: number;
  readonly bytesMax: number;
}

export type CatalogueChange = "ok" | "none" | "types" | "bytes";

export type CatalogueStore = ReturnType<typeof createCatalogueStore>;

/** Every call rejects with `store-unavailable` when Redis does not answer. */
export function createCatalogueStore(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly bounds: CatalogueBounds;
  /** Told of each record that does not read back; it is left out. */
  readonly onFault: (error: unknown) => void;
}) {
  const { commands, keys, bounds, onFault } = options;
  const names = [keys.key(0, "eventTypes:version"), keys.key(0, "eventTypes")];
  const news = [announcementChannel(keys), announcementMessage({ kind: "event-types-changed" })];

  async function change(seen: Catalogue, name: string, record: string): Promise<CatalogueChange> {
    const args = [seen.version, name, record, bounds.typesMax, bounds.bytesMax, ...news];
    return textOf(await commands.run(CHANGE, names, args).catch(named)) as CatalogueChange;
  }

  /** What is damaged cannot be mended by who does not know where it is. */
  function named(error: unknown): never {
    if (isDamage(error))
      throw recordDamaged(`The catalogue of event types in Redis (${names.join(", ")}) does not read back`, error);
    throw error;
  }

  return {
    /** `known` itself when nothing has changed since. */
    async read(known: Catalogue | null): Promise<Catalogue> {
      const script = known === null ? READ : READ_AGAIN;
      const reply = await commands.run(script, names, [known?.version ?? ""]).catch(named);
      const [version, stored] = listOf(reply);
      const text = String(numberOf(version));
      if (stored === undefined && known !== null) return known;
      const types = pairsOf(stored ?? []).flatMap(([name, record]) => readableType(name, record ?? "", onFault) ?? []);
      return catalogueOf(text, types);
    },
    put: (seen: Catalogue, type: CatalogueType) => change(seen, type.name, JSON.stringify(type)),
    remove: (seen: Catalogue, name: string) => change(seen, name, ""),
    async restore({ version, types }: Catalogue): Promise<void> {
      const records = [...types.values()].flatMap((type) => [type.name, JSON.stringify(type)]);
      await commands.run(RESTORE, names, [version, ...records]);
    },
  };
}

function readableType(name: string, record: string, onFault: (error: unknown) => void): CatalogueType | null {
  try {
    const parsed = v.safeParse(CatalogueTypeRecord, jsonOf(record));
    if (parsed.success && parsed.output.name === name) return parsed.output;
    throw recordDamaged(`The record of the event type ${name} in Redis is not one of ours`);
  } catch (error) {
    if (!isDamage(error)) throw error;
    onFault(error);
    return null;
  }
}
