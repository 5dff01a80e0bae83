/**
 * Whether this process has the master key of those before it: what it could not read it would hold back from everybody,
 * and what it writes nobody else could read. Redis keeps a sealed word for it, made by the first process; it is sealed anew
 * when nothing is left under the key before.
 */
import { Buffer } from "node:buffer";

import type { Sealer } from "../../../lib/ambient.ts";
import type { KeySpace } from "../client/key-space.ts";
import type { RedisCommands, RedisScript } from "../client/redis-commands.ts";
import { setOnce } from "../client/set-once.ts";
import { luaScript } from "../client/lua-script.ts";
import { textOrNull } from "../client/reply.ts";
import { readableEndpoint } from "./record.ts";
import type { DirectoryStore } from "./store.ts";

const READ: RedisScript = luaScript({ name: "read-key", returns: "text", files: ["client/read-key"] });
const REPLACE: RedisScript = luaScript({ name: "replace-key", returns: "text", files: ["client/replace"] });
/** Endpoints that are asked whose key they were sealed with. */
const LOOKED_MAX = 20;
const CONTEXT = "master-key";
const WORD = new TextEncoder().encode("posthaste");

interface MasterKeyPlace {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly sealer: Sealer;
}

/** Throws a plain Error that names the setting; `store-unavailable` when Redis does not answer. */
export async function requireMasterKey(
  options: MasterKeyPlace & { readonly store: Pick<DirectoryStore, "list"> },
): Promise<void> {
  const { commands, sealer, store } = options;
  // A Redis of a version that kept no word: endpoints that are there tell as much. One that is damaged tells nothing.
  const { rows } = await store.list(null, LOOKED_MAX, null);
  const isForeign = rows.length > 0 && rows.every((row) => readableEndpoint(row, sealer, () => undefined) === null);
  if (isForeign && (await readWord(options)) === null) throw foreign(null);
  // Nobody knows what lies there under the key before, so a start needs that until all was looked through.
  const fresh = Buffer.from(sealer.sealUntilResealed(WORD, CONTEXT)).toString("base64");
  const kept = await setOnce(commands, wordKey(options), fresh);
  opens(() => sealer.open(Buffer.from(kept, "base64"), CONTEXT));
}

/** From now on the present key is enough for a start, and needed. True when it is so. */
export async function sealWordAnew(place: MasterKeyPlace): Promise<boolean> {
  const kept = await readWord(place);
  if (kept !== null && place.sealer.isCurrent(Buffer.from(kept, "base64"), CONTEXT)) return true;
  const fresh = Buffer.from(place.sealer.seal(WORD, CONTEXT)).toString("base64");
  return Number(await place.commands.run(REPLACE, [wordKey(place)], [kept ?? "", fresh])) === 1;
}

async function readWord(place: MasterKeyPlace): Promise<string | null> {
  return textOrNull(await place.commands.run(READ, [wordKey(place)], []));
}

function wordKey({ keys }: MasterKeyPlace): string {
  return keys.key(0, "directory:master-key");
}

function opens(open: () => unknown): void {
  try {
    open();
  } catch (cause) {
    throw foreign(cause);
  }
}

function foreign(cause: unknown): Error {
  return new Error(
    "POSTHASTE_MASTER_KEY is not the key that the endpoints in this Redis are encrypted with. Give every gateway and " +
      "processor of a deployment the same key, and while it is changed POSTHASTE_MASTER_KEY_PREVIOUS too, until " +
      "`posthaste reseal` says that nothing is left under it; or name another Redis (REDIS_URL) or another REDIS_PREFIX.",
    { cause },
  );
}
