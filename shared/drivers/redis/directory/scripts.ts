/**
 * Lua of the directory. Each tenant has a hash of endpoints (id -> place and text), its version, its last changes, and an order; a
 * shard has one order of all its tenants' endpoints, and an epoch. The epoch is a random word made once: another one, or none,
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

/** Endpoints of a tenant from which on its changes are noted: below, all of them are read for less. */
export const CHANGES_FROM = 20;
/** Changes of a tenant that are known: some 4 KB. */
export const CHANGES_MAX = 64;
const CHANGES = { CHANGES_FROM, CHANGES_MAX };

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
  files: ["directory/known-version", "directory/changes", "directory/read"],
  constants: CHANGES,
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
  files: ["directory/known-version", "directory/changes", "directory/guard", "directory/create"],
  constants: { PLACE_LENGTH, ...CHANGES },
});

export const directoryUpdate: RedisScript = luaScript({
  name: "directory-update",
  returns: "text",
  files: ["directory/known-version", "directory/changes", "directory/guard", "directory/update"],
  constants: CHANGES,
});

export const directoryReseal: RedisScript = luaScript({
  name: "directory-reseal",
  returns: "text",
  files: ["directory/known-version", "directory/changes", "directory/guard", "directory/reseal"],
  constants: CHANGES,
});

export const directoryRemove: RedisScript = luaScript({
  name: "directory-remove",
  returns: "text",
  files: ["directory/known-version", "directory/changes", "directory/guard", "directory/forget", "directory/remove"],
  constants: { PLACE_LENGTH, ...CHANGES },
});
