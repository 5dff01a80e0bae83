-- Part: one dead letter in the index, read, weighed and taken out.

local root = KEYS[1]

local function lists_of(meta)
  return {root .. ':all', root .. ':tenant:' .. meta.tenant, root .. ':endpoint:' .. meta.endpoint,
    root .. ':event:' .. meta.event}
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
local function take_out(id, meta)
  for _, list in ipairs(lists_of(meta)) do redis.call('ZREM', list, id) end
  redis.call('HDEL', root .. ':meta', id)
  redis.call('HDEL', root .. ':bodies', id)
  redis.call('HDEL', root .. ':places', id)
  weigh(meta.tenant, 0 - meta.bytes)
  mark(id, meta.revision)
end
