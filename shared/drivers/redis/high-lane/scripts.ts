/**
 * The scripts of a lane on Redis, and the names of its keys. All keys of one script lie in one shard's slot.
 *
 * `list`    LIST  packed envelopes, new ones at the left, the next one at the right. Never trimmed. Those that may have
 *                 been worked on before begin with the mark, one byte 0x01, which no packed envelope begins with.
 * `held`    HASH  ticket -> element of the list, while a process holds it.
 * `leases`  ZSET  ticket by the time at which its lease runs out. A ticket is `<holder>:<number of 12 digits>`, so that
 *                 those of one holder and one time are in the order in which they were taken.
 * `kept`    ZSET  `<tenant>/<event>` of all that waits or is held, by acceptance time.
 * `known`   ZSET  the same names after the ack, by the time at which they may be forgotten; with `~` before the name
 *                 those that entered by another door.
 * `tally`   HASH  `<name>:items` and `<name>:bytes` of each lane that shares the bounds.
 */
import type { KeySpace } from "../client/key-space.ts";
import type { RedisScript } from "../client/redis-commands.ts";

export interface LaneKeys {
  readonly list: string;
  readonly held: string;
  readonly leases: string;
  readonly kept: string;
  readonly known: string;
  readonly tally: string;
}

/** `name` tells lanes apart that share the bounds; all their keys begin with `lane:`. */
export function laneKeys(keys: KeySpace, shard: number, name: string): LaneKeys {
  const key = (part: string): string => keys.key(shard, `lane:${name}${part}`);
  return {
    list: key(""),
    held: key(":held"),
    leases: key(":leases"),
    kept: key(":kept"),
    known: key(":known"),
    tally: keys.key(shard, "lane:tally"),
  };
}

/** First byte of an element that may have been worked on; JSON does not begin with it. */
export const REPEAT_MARK = 0x01;

/** Items of one call of the scripts for ack, release and renewal: a Lua call takes some 8,000 values at most. */
export const CALL_ITEMS_MAX = 1000;

/**
 * KEYS list, kept, known, tally. ARGV name, channel, items max, bytes max, then for each envelope: name of the event,
 * acceptance time, packed envelope.
 * Returns {1, number of new items, 0}, or {0, items, bytes} as they are when the new ones would pass a bound.
 * Atomic: all new ones are kept and announced, or none. Names that are kept or known are passed over and count nothing.
 */
export const appendScript: RedisScript = {
  name: "lane-append",
  returns: "text",
  lua: `
local list, kept, known, tally = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name = ARGV[1]
local seen, fresh, bytes = {}, {}, 0
local function isLive(member)
  local expiry = redis.call('ZSCORE', known, member)
  return expiry and tonumber(expiry) > now
end
for at = 5, #ARGV, 3 do
  local event = ARGV[at]
  if not seen[event] and not redis.call('ZSCORE', kept, event) and not isLive(event) then
    seen[event] = true
    fresh[#fresh + 1] = at
    bytes = bytes + #ARGV[at + 2]
  end
end
if #fresh == 0 then return {1, 0, 0} end
local itemsNow, bytesNow = 0, 0
local counts = redis.call('HGETALL', tally)
for at = 1, #counts, 2 do
  if string.sub(counts[at], -6) == ':items' then itemsNow = itemsNow + tonumber(counts[at + 1])
  else bytesNow = bytesNow + tonumber(counts[at + 1]) end
end
if itemsNow + #fresh > tonumber(ARGV[3]) or bytesNow + bytes > tonumber(ARGV[4]) then return {0, itemsNow, bytesNow} end
for _, at in ipairs(fresh) do
  local event, packed = ARGV[at], ARGV[at + 2]
  local elsewhere = '~' .. event
  if isLive(elsewhere) then packed = '\\1' .. packed end
  redis.call('ZREM', known, event, elsewhere)
  redis.call('ZADD', kept, ARGV[at + 1], event)
  redis.call('LPUSH', list, packed)
end
redis.call('HINCRBY', tally, name .. ':items', #fresh)
redis.call('HINCRBY', tally, name .. ':bytes', bytes)
redis.call('PUBLISH', ARGV[2], #fresh)
return {1, #fresh, 0}
`,
};

/**
 * KEYS list, held, leases. ARGV holder, number of the first ticket, items max, bytes max, lease in ms.
 * Returns the elements, oldest first; the tickets are numbered in that order. Stops once the bytes are passed, so that
 * one reply stays small, and may pass them by 15 elements.
 * Atomic: an element is on the list or held, never neither.
 */
export const takeScript: RedisScript = {
  name: "lane-take",
  returns: "bytes",
  lua: `
local list, held, leases = KEYS[1], KEYS[2], KEYS[3]
local number, left, room = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local deadline = now + tonumber(ARGV[5])
local taken = {}
while left > 0 and room > 0 do
  local elements = redis.call('RPOP', list, math.min(left, 16))
  if not elements or #elements == 0 then break end
  local toHold, toLease = {}, {}
  for _, element in ipairs(elements) do
    local ticket = ARGV[1] .. ':' .. string.format('%012d', number)
    number = number + 1
    room = room - #element
    toHold[#toHold + 1] = ticket
    toHold[#toHold + 1] = element
    toLease[#toLease + 1] = deadline
    toLease[#toLease + 1] = ticket
    taken[#taken + 1] = element
  end
  redis.call('HSET', held, unpack(toHold))
  redis.call('ZADD', leases, unpack(toLease))
  left = left - #elements
end
return taken
`,
};

/**
 * KEYS list, held, leases, kept, known, tally. ARGV name, ms for which an event stays known, known ones max, then for
 * each item: ticket, name of the event (empty for poison), bytes that it was counted with.
 * Returns the number of items that were still held under their tickets; the others change nothing.
 * Atomic. When the lane is empty afterwards its counts begin at nothing, whatever was put in or taken out by hand.
 */
export const ackScript: RedisScript = {
  name: "lane-ack",
  returns: "text",
  lua: `
local list, held, leases, kept, known, tally = unpack(KEYS)
local name, knownMs = ARGV[1], tonumber(ARGV[2])
local items, bytes = 0, 0
for at = 4, #ARGV, 3 do
  if redis.call('HDEL', held, ARGV[at]) == 1 then
    redis.call('ZREM', leases, ARGV[at])
    items = items + 1
    bytes = bytes + tonumber(ARGV[at + 2])
    if ARGV[at + 1] ~= '' then
      redis.call('ZREM', kept, ARGV[at + 1])
      redis.call('ZADD', known, now + knownMs, ARGV[at + 1])
    end
  end
end
if items == 0 then return 0 end
if redis.call('EXISTS', list, held) == 0 then
  redis.call('DEL', kept)
  redis.call('HDEL', tally, name .. ':items', name .. ':bytes')
else
  for field, less in pairs({ [':items'] = items, [':bytes'] = bytes }) do
    if redis.call('HINCRBY', tally, name .. field, -less) < 0 then redis.call('HSET', tally, name .. field, 0) end
  end
end
local old = redis.call('ZRANGEBYSCORE', known, '-inf', now, 'LIMIT', 0, 2 * items + 10)
if #old > 0 then redis.call('ZREM', known, unpack(old)) end
local over = redis.call('ZCARD', known) - tonumber(ARGV[3])
if over > 0 then redis.call('ZPOPMIN', known, math.min(over, 2 * items + 10)) end
redis.call('PEXPIRE', known, knownMs)
return items
`,
};

/**
 * KEYS list, held, leases. ARGV tickets in the order of taking.
 * Returns the number of items put back to the head of the list, in that order and with the marks they had.
 * Atomic: a ticket that is not held any more changes nothing.
 */
export const releaseScript: RedisScript = {
  name: "lane-release",
  returns: "text",
  lua: `
local released = 0
for at = #ARGV, 1, -1 do
  local element = redis.call('HGET', KEYS[2], ARGV[at])
  if element then
    redis.call('RPUSH', KEYS[1], element)
    redis.call('HDEL', KEYS[2], ARGV[at])
    redis.call('ZREM', KEYS[3], ARGV[at])
    released = released + 1
  end
end
return released
`,
};

/**
 * KEYS list, held, leases. ARGV lease in ms, number of items to reap at most, then tickets to renew.
 * Returns the number of items whose lease ran out, which are at the head of the list now, marked as repeats.
 * Atomic. Renews first, so that a holder that is late but not too late keeps what is its own.
 */
export const beatScript: RedisScript = {
  name: "lane-beat",
  returns: "text",
  lua: `
local list, held, leases = KEYS[1], KEYS[2], KEYS[3]
local deadline = now + tonumber(ARGV[1])
for at = 3, #ARGV do redis.call('ZADD', leases, 'XX', deadline, ARGV[at]) end
local late = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[2])
for at = #late, 1, -1 do
  local element = redis.call('HGET', held, late[at])
  if element then
    if string.byte(element) ~= 1 then element = '\\1' .. element end
    redis.call('RPUSH', list, element)
    redis.call('HDEL', held, late[at])
  end
  redis.call('ZREM', leases, late[at])
end
return #late
`,
};

/** KEYS list, held, kept. Returns {items, acceptance time of the oldest as text, or nil}. Changes nothing. */
export const depthScript: RedisScript = {
  name: "lane-depth",
  returns: "text",
  lua: `
local oldest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
return {redis.call('LLEN', KEYS[1]) + redis.call('HLEN', KEYS[2]), oldest[2] or false}
`,
};

/**
 * KEYS kept, known. ARGV ms for which they stay known, then names of events. Returns how many were new to the lane.
 * Atomic: an event that the lane keeps or had is left as it is.
 */
export const noteScript: RedisScript = {
  name: "lane-note",
  returns: "text",
  lua: `
local noted = 0
for at = 2, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[at]) and not redis.call('ZSCORE', KEYS[2], ARGV[at]) then
    redis.call('ZADD', KEYS[2], now + tonumber(ARGV[1]), '~' .. ARGV[at])
    noted = noted + 1
  end
end
if noted > 0 then redis.call('PEXPIRE', KEYS[2], ARGV[1]) end
return noted
`,
};
