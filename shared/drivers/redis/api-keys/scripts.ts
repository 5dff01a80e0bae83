/**
 * Lua of the key ring. A key's record is a hash `apiKey:<sha256>` in the shard of its hash, where the limit script finds
 * it too. Lists and bounds lie in the shard of its tenant, and the way from an id to a hash in the shard of the id.
 * A member of an order is `<created at, 16 digits>:<key id>:<hash>`.
 */
import type { RedisScript } from "../client/redis-commands.ts";

/**
 * KEYS: 1 record. Returns {JSON, time of revocation or nil}, or nil when there is none.
 */
export const keyRead: RedisScript = {
  name: "key-read",
  returns: "text",
  lua: `
local record = redis.call('HMGET', KEYS[1], 'record', 'revokedAtMs')
if not record[1] then return false end
return record`,
};

/** KEYS: n records. Returns n times {JSON or nil, time of revocation or nil}. */
export const keyPick: RedisScript = {
  name: "key-pick",
  returns: "text",
  lua: `
local found = {}
for index, key in ipairs(KEYS) do found[index] = redis.call('HMGET', key, 'record', 'revokedAtMs') end
return found`,
};

/**
 * KEYS: 1 record. ARGV: 1 JSON, 2 time of revocation or ''. Atomic: replaces the record entirely.
 */
export const keyWrite: RedisScript = {
  name: "key-write",
  returns: "text",
  lua: `
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'record', ARGV[1])
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'revokedAtMs', ARGV[2]) end`,
};

/**
 * KEYS: 1 record. ARGV: 1 time. Returns {JSON, time of revocation}, or nil when there is no such key.
 * Atomic: of two revocations the first one's time stays.
 */
export const keyRevoke: RedisScript = {
  name: "key-revoke",
  returns: "text",
  lua: `
if redis.call('HEXISTS', KEYS[1], 'record') == 0 then return false end
redis.call('HSETNX', KEYS[1], 'revokedAtMs', ARGV[1])
return redis.call('HMGET', KEYS[1], 'record', 'revokedAtMs')`,
};

/** KEYS: n keys of any kind, deleted. */
export const keyDrop: RedisScript = {
  name: "key-drop",
  returns: "text",
  lua: `
for _, key in ipairs(KEYS) do redis.call('DEL', key) end`,
};

/** KEYS: 1 id. ARGV: 1 hash. Writes the way from a key's id to its hash. */
export const keyNameWrite: RedisScript = {
  name: "key-name-write",
  returns: "text",
  lua: `
redis.call('SET', KEYS[1], ARGV[1])`,
};

/** KEYS: 1 id. Returns the hash of the key of this id, or nil. */
export const keyNameRead: RedisScript = {
  name: "key-name-read",
  returns: "text",
  lua: `
return redis.call('GET', KEYS[1])`,
};

/**
 * KEYS: 1 order of the tenant, 2 revoked keys of the tenant by time, 3 order of the shard.
 * ARGV: 1 member, 2 the member it replaces or '', 3 time of revocation or '', 4 largest number of usable keys.
 * Returns 'limit', or 'ok'. Atomic: the bound is exact for keys saved at the same time.
 */
export const keyList: RedisScript = {
  name: "key-list",
  returns: "text",
  lua: `
local isThere = redis.call('ZSCORE', KEYS[1], ARGV[1]) or (ARGV[2] ~= '' and redis.call('ZSCORE', KEYS[1], ARGV[2]))
local usable = redis.call('ZCARD', KEYS[1]) - redis.call('ZCARD', KEYS[2])
if not isThere and usable >= tonumber(ARGV[4]) then return 'limit' end
if ARGV[2] ~= '' then
  for index = 1, 3 do redis.call('ZREM', KEYS[index], ARGV[2]) end
end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1]) end
return 'ok'`,
};

/**
 * KEYS: as key-list. ARGV: 1 member, 2 time of revocation, 3 largest number of revoked keys that are kept.
 * Returns the members that fell out of the lists, the longest revoked first.
 */
export const keyListRevoked: RedisScript = {
  name: "key-list-revoked",
  returns: "text",
  lua: `
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[1]) end
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[3])
if over <= 0 then return {} end
local fallen = redis.call('ZRANGE', KEYS[2], 0, over - 1)
for _, member in ipairs(fallen) do
  for index = 1, 3 do redis.call('ZREM', KEYS[index], member) end
end
return fallen`,
};

/** KEYS: as key-list. ARGV: 1 member. Takes it out of all three. */
export const keyUnlist: RedisScript = {
  name: "key-unlist",
  returns: "text",
  lua: `
for index = 1, 3 do redis.call('ZREM', KEYS[index], ARGV[1]) end`,
};
