/**
 * Lua of the directory. Each tenant has a hash of endpoints (id -> place and text), its version, and an order; a shard has
 * one order of all its tenants' endpoints, and an epoch. The epoch is a random word made once: another one, or none,
 * says that this Redis is not the one that was read before (flushed, or restored from nothing).
 *
 * A place is `<created at, 16 digits>:<version of its creation, 16 digits>:`, 34 characters; orders sort by it.
 * A version is the time in ms, or one more than the last where that is greater. So a Redis that lost its last seconds
 * in a failover never gives out a version again that somebody holds other endpoints for.
 */
import { luaScript } from "../client/lua-script.ts";
import type { RedisScript } from "../client/redis-commands.ts";
import { STALL_MS } from "../client/redis-commands.ts";

/** Characters of a place. */
export const PLACE_LENGTH = 34;

export const directoryEpoch: RedisScript = luaScript({
  name: "directory-epoch",
  returns: "text",
  files: ["client/read-key"],
});

export const directoryVersion: RedisScript = luaScript({
  name: "directory-version",
  returns: "text",
  files: ["directory/known-version", "directory/version"],
  silenceMsMax: STALL_MS,
});

export const directoryRead: RedisScript = luaScript({
  name: "directory-read",
  returns: "text",
  files: ["directory/known-version", "directory/read"],
});

export const directoryFind: RedisScript = luaScript({
  name: "directory-find",
  returns: "text",
  files: ["directory/known-version", "directory/find"],
});

export const directoryPick: RedisScript = luaScript({
  name: "directory-pick",
  returns: "text",
  files: ["directory/pick"],
});

export const directoryCreate: RedisScript = luaScript({
  name: "directory-create",
  returns: "text",
  files: ["directory/known-version", "directory/guard", "directory/create"],
  constants: { PLACE_LENGTH },
});

export const directoryUpdate: RedisScript = luaScript({
  name: "directory-update",
  returns: "text",
  files: ["directory/known-version", "directory/guard", "directory/update"],
});

export const directoryReseal: RedisScript = luaScript({
  name: "directory-reseal",
  returns: "text",
  files: ["directory/known-version", "directory/guard", "directory/reseal"],
});

export const directoryRemove: RedisScript = luaScript({
  name: "directory-remove",
  returns: "text",
  files: ["directory/known-version", "directory/guard", "directory/forget", "directory/remove"],
  constants: { PLACE_LENGTH },
});
