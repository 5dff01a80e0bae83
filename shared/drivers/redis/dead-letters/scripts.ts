/**
 * The scripts of the dead letters' index. KEYS[1] is the root of one shard; every other name begins with it and so lies
 * in its slot:
 *
 *   :meta     hash, id -> JSON {revision, tenant, endpoint, event, generation, type, state, attempts, at, reason, bytes}
 *   :bodies   hash, id -> packed envelope
 *   :places   hash, id -> <partition>:<offset> in the record, once it is known
 *   :all, :tenant:<tenant>, :endpoint:<endpoint>, :event:<event>   sorted sets, ids by time
 *   :tenants  sorted set, tenants by the bytes of their bodies
 *   :bytes    what all bodies weigh
 *   :gone     sorted set, <id>|<revision> by the time from which its put may be repeated
 *   :buried   hash, id -> JSON of what had to make room and was not yet written out of the record
 */
import { LIST_LUA } from "../client/list-lua.ts";
import type { RedisScript } from "../client/redis-commands.ts";

/** A put that was on its way longer than this is an old one no more: the record's order tells then. */
const GONE_KEPT_MS = 24 * 3600 * 1000;
const GONE_MAX = 100_000;
/** Letters that make room in one script, and that one reply names; the next goes on. */
const ROOM_MADE_MAX = 1000;
/** What makes room past it is told to nobody. */
const BURIED_MAX = 10_000;

const LETTERS_LUA = `
local root = KEYS[1]
local GONE_KEPT_MS, GONE_MAX = ${GONE_KEPT_MS}, ${GONE_MAX}

local function lists_of(letter)
  return {root .. ':all', root .. ':tenant:' .. letter.tenant, root .. ':endpoint:' .. letter.endpoint,
    root .. ':event:' .. letter.event}
end
local function read(id)
  local text = redis.call('HGET', root .. ':meta', id)
  return text and cjson.decode(text) or nil, text
end
local function weigh(tenant, bytes)
  redis.call('INCRBY', root .. ':bytes', bytes)
  if tonumber(redis.call('ZINCRBY', root .. ':tenants', bytes, tenant)) <= 0 then
    redis.call('ZREM', root .. ':tenants', tenant)
  end
end
local function mark(id, revision)
  redis.call('ZADD', root .. ':gone', now + GONE_KEPT_MS, id .. '|' .. revision)
end
local function trim_marks()
  redis.call('ZREMRANGEBYSCORE', root .. ':gone', '-inf', now)
  redis.call('ZREMRANGEBYRANK', root .. ':gone', 0, -GONE_MAX - 1)
end
local function take_out(id, letter)
  for _, list in ipairs(lists_of(letter)) do redis.call('ZREM', list, id) end
  redis.call('HDEL', root .. ':meta', id)
  redis.call('HDEL', root .. ':bodies', id)
  redis.call('HDEL', root .. ':places', id)
  weigh(letter.tenant, 0 - letter.bytes)
  mark(id, letter.revision)
end
`;

/**
 * KEYS: root. ARGV: bytes at most, letters at most, then for each letter: id, JSON, packed envelope, place or nothing.
 * All or nothing. Returns id and JSON of each letter that had to make room, now or before, until it is dropped. News that
 * are refused because newer ones or the same are there count as gone, and do not turn up when those are taken out.
 */
export const PUT_LETTERS: RedisScript = {
  name: "dead-letters-put",
  returns: "text",
  lua: `${LETTERS_LUA}
local bytes_max, letters_max = tonumber(ARGV[1]), tonumber(ARGV[2])
for index = 3, #ARGV, 4 do
  local id, text, place = ARGV[index], ARGV[index + 1], ARGV[index + 3]
  local letter, old = cjson.decode(text), read(id)
  if old and old.revision == letter.revision then
    if place ~= '' then redis.call('HSET', root .. ':places', id, place) end
  elseif old and (letter.at <= old.at or (letter.state == old.state and letter.attempts == old.attempts)) then
    mark(id, letter.revision)
  elseif not redis.call('ZSCORE', root .. ':gone', id .. '|' .. letter.revision) then
    if old then take_out(id, old) end
    redis.call('HDEL', root .. ':buried', id)
    redis.call('HSET', root .. ':meta', id, text)
    redis.call('HSET', root .. ':bodies', id, ARGV[index + 2])
    if place ~= '' then redis.call('HSET', root .. ':places', id, place) end
    for _, list in ipairs(lists_of(letter)) do redis.call('ZADD', list, letter.at, id) end
    weigh(letter.tenant, letter.bytes)
  end
end
local function is_full()
  return tonumber(redis.call('GET', root .. ':bytes') or 0) > bytes_max
    or redis.call('ZCARD', root .. ':all') > letters_max
end
local made = 0
while made < ${ROOM_MADE_MAX} and is_full() do
  local fullest = redis.call('ZREVRANGE', root .. ':tenants', 0, 0)[1]
  local list = fullest and ':tenant:' .. fullest or ':all'
  local oldest = redis.call('ZRANGE', root .. list, 0, 0)[1]
  if not oldest then break end
  local letter, text = read(oldest)
  take_out(oldest, letter)
  if redis.call('HLEN', root .. ':buried') < ${BURIED_MAX} then redis.call('HSET', root .. ':buried', oldest, text) end
  made = made + 1
end
trim_marks()
if redis.call('EXISTS', root .. ':buried') == 0 then return {} end
return redis.call('HRANDFIELD', root .. ':buried', ${ROOM_MADE_MAX}, 'WITHVALUES')
`,
};

/**
 * KEYS: root. ARGV: for each letter: id, revision or nothing, place of its tombstone or nothing. What is dropped is that
 * revision; without one what the record has before the tombstone, and anything when neither is given. All or nothing. Returns id and
 * JSON of each.
 */
export const DROP_LETTERS: RedisScript = {
  name: "dead-letters-drop",
  returns: "text",
  lua: `${LETTERS_LUA}
local function is_before(place, tombstone)
  if not place or tombstone == '' then return false end
  local partition, offset = string.match(place, '^(%d+):(%d+)$')
  local other, till = string.match(tombstone, '^(%d+):(%d+)$')
  return partition == other and tonumber(offset) < tonumber(till)
end
local dropped = {}
for index = 1, #ARGV, 3 do
  local id, revision, tombstone = ARGV[index], ARGV[index + 1], ARGV[index + 2]
  local letter, text = read(id)
  if letter and ((revision == '' and tombstone == '') or letter.revision == revision
      or (revision == '' and is_before(redis.call('HGET', root .. ':places', id), tombstone))) then
    take_out(id, letter)
    dropped[#dropped + 1] = id
    dropped[#dropped + 1] = text
  end
  if revision ~= '' then mark(id, revision) end
  local buried = redis.call('HGET', root .. ':buried', id)
  if buried and cjson.decode(buried).revision == revision then redis.call('HDEL', root .. ':buried', id) end
end
trim_marks()
return dropped
`,
};

/** KEYS: root. ARGV: id. Returns JSON and packed envelope, or null. */
export const READ_LETTER: RedisScript = {
  name: "dead-letters-read",
  returns: "bytes",
  lua: `
local text = redis.call('HGET', KEYS[1] .. ':meta', ARGV[1])
if not text then return false end
return {text, redis.call('HGET', KEYS[1] .. ':bodies', ARGV[1])}
`,
};

/**
 * KEYS: root. ARGV: as `LIST_LUA`, then `rows` or `count`, tenant, endpoint, event, type, state, each or nothing. Row:
 * {score, id, id, JSON, packed envelope}; without the last two when they are only counted.
 */
export const LIST_LETTERS: RedisScript = {
  name: "dead-letters-list",
  returns: "bytes",
  lua: `${LETTERS_LUA}${LIST_LUA}
local what, tenant, endpoint, event, kind, state = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13]
local key = root .. ':all'
if event ~= '' then
  key = root .. ':event:' .. event
elseif endpoint ~= '' then
  key = root .. ':endpoint:' .. endpoint
elseif tenant ~= '' then
  key = root .. ':tenant:' .. tenant
end
local high, low = bounds()
walk(key, high, low, function(score, id)
  local letter, text = read(id)
  if not letter or (tenant ~= '' and letter.tenant ~= tenant) or (endpoint ~= '' and letter.endpoint ~= endpoint)
    or (kind ~= '' and letter.type ~= kind) or (state ~= '' and letter.state ~= state) then
    return nil
  end
  if what == 'count' then return {score, id}, 0 end
  local packed = redis.call('HGET', root .. ':bodies', id)
  return {score, id, id, text, packed}, #packed
end)
return reply()
`,
};

/**
 * KEYS: root. ARGV: tenant or nothing, endpoint or nothing, since, until (exclusive) or nothing. Returns a number. An
 * endpoint is one tenant's: any of its letters tells whose.
 */
export const COUNT_LETTERS: RedisScript = {
  name: "dead-letters-count",
  returns: "text",
  lua: `
local key = KEYS[1] .. ':all'
if ARGV[2] ~= '' then
  key = KEYS[1] .. ':endpoint:' .. ARGV[2]
  local any = ARGV[1] ~= '' and redis.call('ZRANGE', key, 0, 0)[1]
  if any and cjson.decode(redis.call('HGET', KEYS[1] .. ':meta', any)).tenant ~= ARGV[1] then return 0 end
elseif ARGV[1] ~= '' then
  key = KEYS[1] .. ':tenant:' .. ARGV[1]
end
return redis.call('ZCOUNT', key, ARGV[3] == '' and '-inf' or ARGV[3], ARGV[4] == '' and '+inf' or '(' .. ARGV[4])
`,
};
