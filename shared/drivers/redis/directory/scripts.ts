/**
 * Lua of the directory. Each tenant has a hash of endpoints (id -> place and text), its version, and an order; a shard has
 * one order of all its tenants' endpoints, and a marker. The marker is a random word made once: another one, or none,
 * says that this Redis is not the one that was read before (flushed, or restored from nothing).
 *
 * A place is `<created at, 16 digits>:<version of its creation, 16 digits>:`, 34 characters; orders sort by it.
 * A version is the time in ms, or one more than the last where that is greater. So a Redis that lost its last seconds
 * in a failover never gives out a version again that somebody holds other endpoints for.
 */
import type { RedisScript } from "../client/redis-commands.ts";

/** Characters of a place. */
export const PLACE_LENGTH = 34;

/**
 * KEYS: 1 marker. ARGV: 1 a fresh marker. Returns the marker that holds. Atomic: two processes at a fresh Redis agree.
 */
export const directoryOpen: RedisScript = {
  name: "directory-open",
  returns: "text",
  lua: `
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`,
};

/**
 * KEYS: 1 marker, 2 version. Returns {marker or nil, version}; version '0' when there is none.
 */
export const directoryVersion: RedisScript = {
  name: "directory-version",
  returns: "text",
  lua: `
return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) or '0'}`,
};

/**
 * KEYS: 1 marker, 2 version, 3 endpoints. ARGV: 1 marker, 2 version that the caller holds.
 * Returns {marker or nil, version}, and third {id, place and text, ...} unless both are those that the caller holds.
 * Atomic: the endpoints are those of that version.
 */
export const directoryRead: RedisScript = {
  name: "directory-read",
  returns: "text",
  lua: `
local marker = redis.call('GET', KEYS[1])
local version = redis.call('GET', KEYS[2]) or '0'
if marker == ARGV[1] and version == ARGV[2] then return {marker, version} end
return {marker, version, redis.call('HGETALL', KEYS[3])}`,
};

/** KEYS: 1 marker, 2 version, 3 endpoints. ARGV: 1 endpoint id. Returns {marker or nil, version, place and text or nil}. */
export const directoryFind: RedisScript = {
  name: "directory-find",
  returns: "text",
  lua: `
return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) or '0', redis.call('HGET', KEYS[3], ARGV[1])}`,
};

/** KEYS: n times endpoints. ARGV: n endpoint ids. Returns n times place and text, or nil. */
export const directoryPick: RedisScript = {
  name: "directory-pick",
  returns: "text",
  lua: `
local found = {}
for index, key in ipairs(KEYS) do found[index] = redis.call('HGET', key, ARGV[index]) end
return found`,
};

/**
 * Each write: refused as 'lost' when the marker is another, or the version lower, than what the caller has seen. What it
 * changed it announces in the same step; the last two of ARGV are the channel and the message.
 */
const guard = `
local version = tonumber(redis.call('GET', KEYS[2]) or '0')
if redis.call('GET', KEYS[1]) ~= ARGV[1] or version < tonumber(ARGV[2]) then return 'lost' end
local function raise()
  version = math.max(version + 1, math.floor(now))
  redis.call('SET', KEYS[2], string.format('%.0f', version))
  redis.call('PUBLISH', ARGV[#ARGV - 1], ARGV[#ARGV])
end`;

/**
 * KEYS: 1 marker, 2 version, 3 endpoints, 4 order of the tenant, 5 order of the shard.
 * ARGV: 1 marker, 2 version, 3 endpoint id, 4 created at (16 digits), 5 text, 6 tenant, 7 largest number of endpoints.
 * Returns 'ok' (also when the same bytes are there already: a command that was sent twice), 'lost', 'limit', 'exists'.
 * Atomic: endpoint, orders and version are written together or not at all, and the bound is exact.
 */
export const directoryCreate: RedisScript = {
  name: "directory-create",
  returns: "text",
  lua: `${guard}
local there = redis.call('HGET', KEYS[3], ARGV[3])
if there then return string.sub(there, ${PLACE_LENGTH + 1}) == ARGV[5] and 'ok' or 'exists' end
if redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[7]) then return 'limit' end
raise()
local place = ARGV[4] .. ':' .. string.format('%016.0f', version) .. ':'
redis.call('HSET', KEYS[3], ARGV[3], place .. ARGV[5])
redis.call('ZADD', KEYS[4], 0, place .. ARGV[3])
redis.call('ZADD', KEYS[5], 0, place .. ARGV[3] .. ':' .. ARGV[6])
return 'ok'`,
};

/**
 * KEYS: 1 marker, 2 version, 3 endpoints. ARGV: 1 marker, 2 version, 3 endpoint id, 4 place and text as they were read,
 * 5 the new ones, of the same place. Returns 'ok' (also when they are there already), 'lost', 'none', 'conflict'.
 * Atomic: writes only over the bytes that were read, and raises the version with it.
 */
export const directoryUpdate: RedisScript = {
  name: "directory-update",
  returns: "text",
  lua: `${guard}
local there = redis.call('HGET', KEYS[3], ARGV[3])
if not there then return 'none' end
if there == ARGV[5] then return 'ok' end
if there ~= ARGV[4] then return 'conflict' end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[5])
raise()
return 'ok'`,
};

/**
 * KEYS: 1 marker, 2 version, 3 endpoints, 4 order of the tenant, 5 order of the shard.
 * ARGV: 1 marker, 2 version, 3 endpoint id, 4 tenant. Returns 'ok', 'lost', 'none'. Atomic as directory-create.
 */
export const directoryRemove: RedisScript = {
  name: "directory-remove",
  returns: "text",
  lua: `${guard}
local there = redis.call('HGET', KEYS[3], ARGV[3])
if not there then return 'none' end
local place = string.sub(there, 1, ${PLACE_LENGTH})
redis.call('HDEL', KEYS[3], ARGV[3])
redis.call('ZREM', KEYS[4], place .. ARGV[3])
redis.call('ZREM', KEYS[5], place .. ARGV[3] .. ':' .. ARGV[4])
raise()
return 'ok'`,
};
