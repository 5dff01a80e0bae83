/**
 * Lua of the API-key store. A key's record is a hash `apiKey:<sha256>` in the shard of its hash, where the limit script finds
 * it too. Lists and bounds lie in the shard of its tenant, and the way from an id to a hash in the shard of the id.
 * A member of an order is `<created at, 16 digits>:<key id>:<hash>`.
 */
import { luaScript } from "../client/lua-script.ts";
import type { RedisScript } from "../client/redis-commands.ts";
import { STALL_MS } from "../client/redis-commands.ts";

export const keyRead: RedisScript = luaScript({
  name: "key-read",
  returns: "text",
  files: ["api-keys/read"],
});

/** Of a key that this process knows, and may use on without an answer. */
export const keyReadAgain: RedisScript = { ...keyRead, silenceMsMax: STALL_MS };

export const keyEpoch: RedisScript = luaScript({
  name: "key-epoch",
  returns: "text",
  files: ["client/read-key"],
});

export const keyNoteLoss: RedisScript = luaScript({
  name: "key-note-loss",
  returns: "text",
  files: ["api-keys/note-loss"],
});

export const keyPick: RedisScript = luaScript({
  name: "key-pick",
  returns: "text",
  files: ["api-keys/pick"],
});

export const keyWrite: RedisScript = luaScript({
  name: "key-write",
  returns: "text",
  files: ["api-keys/write"],
});

export const keyRevoke: RedisScript = luaScript({
  name: "key-revoke",
  returns: "text",
  files: ["api-keys/revoke"],
});

export const keyRestore: RedisScript = luaScript({
  name: "key-restore",
  returns: "text",
  files: ["api-keys/restore"],
});

export const keyDrop: RedisScript = luaScript({
  name: "key-drop",
  returns: "text",
  files: ["api-keys/drop"],
});

export const keyNameWrite: RedisScript = luaScript({
  name: "key-name-write",
  returns: "text",
  files: ["api-keys/name-write"],
});

export const keyNameRead: RedisScript = luaScript({
  name: "key-name-read",
  returns: "text",
  files: ["api-keys/name-read"],
});

export const keyList: RedisScript = luaScript({
  name: "key-list",
  returns: "text",
  files: ["api-keys/list"],
});

export const keyListRevoked: RedisScript = luaScript({
  name: "key-list-revoked",
  returns: "text",
  files: ["api-keys/list-revoked"],
});

export const keyListEnded: RedisScript = luaScript({
  name: "key-list-ended",
  returns: "text",
  files: ["api-keys/list-ended"],
});

export const keyUnlist: RedisScript = luaScript({
  name: "key-unlist",
  returns: "text",
  files: ["api-keys/unlist"],
});
