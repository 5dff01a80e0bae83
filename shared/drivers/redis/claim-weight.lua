-- Part: what claims weigh, of a tenant or of a whole shard: a hash of bytes by the hour in which they were written, `all`,
-- their sum, and `at`, the hour up to which it was trimmed. A claim is gone with its hour, CLAIM_HOURS later, so that no
-- list of claims is needed. What does not read as bytes weighs nothing.

local hour = math.floor(now / HOUR_MS)

local function bytes_of(text)
  return math.max(0, number_or(0, text))
end

local function weight_of(key)
  local found = redis.call("HMGET", key, "all", "at")
  local all = bytes_of(found[1])
  if not found[2] or bytes_of(found[2]) >= hour then return all end
  local fields = redis.call("HGETALL", key)
  for index = 1, #fields, 2 do
    local written = tonumber(fields[index])
    if written and written < hour - CLAIM_HOURS then
      all = math.max(0, all - bytes_of(fields[index + 1]))
      redis.call("HDEL", key, fields[index])
    end
  end
  redis.call("HSET", key, "all", string.format("%.0f", all), "at", hour)
  return all
end

-- Whether so many bytes more find no room. What would refuse anybody is added up again from its hours: a sum, or an hour, that
-- is more than there may ever be is none of ours.
local function is_full(key, more, most)
  if weight_of(key) + more <= most then return false end
  local all, fields = 0, redis.call("HGETALL", key)
  for index = 1, #fields, 2 do
    local bytes = bytes_of(fields[index + 1])
    if tonumber(fields[index]) and bytes <= 2 * most then all = all + bytes end
  end
  redis.call("HSET", key, "all", string.format("%.0f", all))
  return all + more > most
end

-- Takes back what was weighed in the hour of that time; nothing when the hour was trimmed.
local function unweigh(key, at, bytes)
  local written = math.floor(at / HOUR_MS)
  if written < hour - CLAIM_HOURS or redis.call("HEXISTS", key, written) == 0 then return end
  add_to(-bytes, key, written)
  add_to(-bytes, key, "all")
end

local function weigh(key, bytes)
  local all = weight_of(key) + bytes
  local of_hour = bytes_of(redis.call("HGET", key, hour)) + bytes
  redis.call("HSET", key, hour, string.format("%.0f", of_hour), "all", string.format("%.0f", all))
  redis.call("HSETNX", key, "at", hour)
  redis.call("PEXPIRE", key, (CLAIM_HOURS + 2) * HOUR_MS)
end
