/**
 * Whether this process has the master key of those before it: what it could not read it would hold back from everybody,
 * and what it writes nobody else could read. Redis keeps a sealed word for it, made by the first process.
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
/** Endpoints that are asked whose key they were sealed with. */
const LOOKED_MAX = 20;
const CONTEXT = "master-key";
const WORD = new TextEncoder().encode("posthaste");

/** Throws a plain Error that names the setting; `store-unavailable` when Redis does not answer. */
export async function requireMasterKey(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly sealer: Sealer;
  readonly store: Pick<DirectoryStore, "list">;
}): Promise<void> {
  const { commands, keys, sealer, store } = options;
  // A Redis of a version that kept no word: endpoints that are there tell as much. One that is damaged tells nothing.
  const { rows } = await store.list(null, LOOKED_MAX, null);
  const isForeign = rows.length > 0 && rows.every((row) => readableEndpoint(row, sealer, () => undefined) === null);
  const fresh = Buffer.from(sealer.seal(WORD, CONTEXT)).toString("base64");
  const key = keys.key(0, "directory:master-key");
  if (isForeign && textOrNull(await commands.run(READ, [key], [])) === null) throw foreign(null);
  const kept = await setOnce(commands, key, fresh);
  opens(() => sealer.open(Buffer.from(kept, "base64"), CONTEXT));
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
      "processor of a deployment the same key, or name another Redis (REDIS_URL) or another REDIS_PREFIX.",
    { cause },
  );
}
