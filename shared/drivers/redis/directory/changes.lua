-- Part: what changed last, by version: members '<version>:<endpoint id>'. The member '' has the version before the first of them.
-- Who holds one of these versions reads what changed since, and not up to a thousand endpoints. A version that is not there was given
-- by a Redis that lost it since, or by a release that notes nothing, or is too old: all of it is read then. KEYS: 3 endpoints, 4 changes.

local function digits(version) return string.format('%.0f', version) end

-- After the version was raised. No id: more than one endpoint was changed. Few endpoints are read as a whole for less than this costs.
local function note_change(id, before, version)
  local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')
  local isWhole = last[2] and tonumber(last[2]) == before
  local isNoted = id and redis.call('HLEN', KEYS[3]) >= CHANGES_FROM
  if not isNoted or not isWhole then redis.call('DEL', KEYS[4]) end
  if not isNoted then return end
  if not isWhole then redis.call('ZADD', KEYS[4], digits(before), '') end
  redis.call('ZADD', KEYS[4], digits(version), digits(version) .. ':' .. id)
  local over = redis.call('ZCARD', KEYS[4]) - 1 - CHANGES_MAX
  if over <= 0 then return end
  local gone = redis.call('ZRANGE', KEYS[4], over, over, 'WITHSCORES')
  redis.call('ZREMRANGEBYRANK', KEYS[4], 1, over)
  redis.call('ZADD', KEYS[4], gone[2], '')
end

-- The ids of what changed after `since` up to `version`, some more than once; nil when that is not known.
local function changed_since(since, version)
  local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')
  if not last[2] or tonumber(last[2]) ~= tonumber(version) then return nil end
  if redis.call('ZCOUNT', KEYS[4], since, since) == 0 then return nil end
  local ids = {}
  for index, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. since, '+inf')) do
    ids[index] = string.match(member, '^%d+:(.*)$')
  end
  return ids
end
