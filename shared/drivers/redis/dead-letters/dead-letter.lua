-- Part: one dead letter in the index, read, weighed and taken out.

local root = KEYS[1]

local function lists_of(meta)
  return {root .. ':all', root .. ':tenant:' .. meta.tenant, root .. ':endpoint:' .. meta.endpoint,
    root .. ':event:' .. meta.event}
end
-- Nothing when it is not there, or is not what put.lua wrote: such a row costs itself and nothing else.
local function decode(text)
  local is_json, meta = pcall(cjson.decode, text)
  if not is_json or type(meta) ~= 'table' or type(meta.revision) ~= 'string' or type(meta.bytes) ~= 'number' then return nil end
  for _, name in ipairs({'tenant', 'endpoint', 'event'}) do
    if type(meta[name]) ~= 'string' then return nil end
  end
  return meta
end
local function read(id)
  local text = redis.call('HGET', root .. ':meta', id)
  return text and decode(text) or nil, text
end
-- Both are places in the record, or nothing: is the first before the second?
local function is_before(place, other)
  if not place or other == '' then return false end
  local partition, offset = string.match(place, '^(%d+):(%d+)$')
  local same, till = string.match(other, '^(%d+):(%d+)$')
  return partition ~= nil and partition == same and tonumber(offset) < tonumber(till)
end
local function weigh(tenant, bytes)
  add_to(bytes, root .. ':bytes')
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
local function take_out_unreadable(id, list)
  redis.pcall('ZREM', list, id)
  redis.call('ZREM', root .. ':all', id)
  for _, hash in ipairs({':meta', ':bodies', ':places'}) do redis.call('HDEL', root .. hash, id) end
end
local function take_out(id, meta)
  for _, list in ipairs(lists_of(meta)) do redis.pcall('ZREM', list, id) end
  redis.call('HDEL', root .. ':meta', id)
  redis.call('HDEL', root .. ':bodies', id)
  redis.call('HDEL', root .. ':places', id)
  weigh(meta.tenant, 0 - meta.bytes)
  mark(id, meta.revision)
end
