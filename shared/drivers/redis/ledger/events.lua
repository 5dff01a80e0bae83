-- Part: put after names.lua.
-- Events in hand: `load` reads one, `save_all` writes those that changed, `forget` takes one out with all that belongs
-- to it. A script ends with `finish`, which keeps the shard within its bytes.

-- a acceptance, d latest planned time, u last news, g kept until at least, o and h deliveries with that claim,
-- n deliveries of generation 0, r of all, c attempts, m how many the fan-out matched (-1 unknown), b bytes,
-- e when Redis drops the large values by itself. One field, for each field costs time at every write.
local FACTS = 12
local FACTS_PATTERN = '^' .. string.rep('(%-?%d+) ', FACTS - 1) .. '(%-?%d+)'
local FACTS_FORMAT = string.rep('%d ', FACTS - 1) .. '%d'
-- What Redis 7.0 takes for an event beside its text, measured: 1 KiB, and as much again for its first delivery.
local EVENT_BYTES, EVICTED_MAX, TRIMMED_ROWS_MAX = 1024, 10000, 2000
local LARGE = {'body', 'deliveries', 'attempts', 'times'}
-- Oldest events of the fullest tenant that are compared, and how many of them go before tenants are compared again.
local COMPARED, TAKEN = 50, 10
-- What each tenant's events have grown by and is not added up yet.
local events, grown = {}, {}

-- False when the event is not kept; it may still lie there, and is then the second answer.
local function load(tenant, id)
  local name = tenant .. '|' .. id
  local event = events[name]
  if event ~= nil then return event, false end
  local key = key_of('event', tenant, id)
  local found = redis.pcall('HMGET', key, 'x', 's')
  if found.err then
    events[name] = false
    return false, true
  end
  local gone_from = number_or(nil, found[1])
  local a, d, u, g, o, h, n, r, c, m, b, e = string.match(found[2] or '', FACTS_PATTERN)
  -- What does not read back is taken for gone, and so makes room for the same event told again.
  if not gone_from or gone_from <= now or not e then
    events[name] = false
    return false, found[1] ~= false
  end
  event = {key = key, tenant = tenant, id = id, name = name, x = gone_from, a = tonumber(a), d = tonumber(d), u = tonumber(u),
    g = tonumber(g), o = tonumber(o), h = tonumber(h), n = tonumber(n), r = tonumber(r), c = tonumber(c), m = tonumber(m),
    b = tonumber(b), e = tonumber(e)}
  events[name] = event
  return event, false
end

local function gone_from(event)
  if event.h > 0 then return math.max(event.u, event.d) + HELD_KEPT_MS end
  local owed = event.m
  if owed < 0 then owed = 1 end
  if event.o > 0 or event.n < owed then return math.max(event.u, event.d) + OPEN_KEPT_MS end
  return math.max(event.u + EVENTS_KEPT_MS, event.g)
end

local function weigh(event, bytes)
  event.b = event.b + bytes
  grown[event.tenant] = (grown[event.tenant] or 0) + bytes
end

-- Trimming is what takes events out; the expiry in Redis is for shards that nobody writes to, so it is set generously
-- and seldom: for a new body and new attempts, which hold other people's text, and for all when the event outgrows it.
local function expire(event, large)
  redis.call('PEXPIRE', key_of(large, event.tenant, event.id), string.format('%d', math.max(1, event.e - now)))
end

-- The claim of the event's own id, if it has one, lasts until then, and no shorter than without the event.
local CLAIMS = string.gsub(root, 'ledger$', '') .. CLAIM_NAME
local function keep_claim(tenant, id, until_ms)
  local claim = CLAIMS .. tenant .. ':' .. OWN_ID .. id
  local text = redis.pcall('HGET', claim, 'expires')
  local expires = type(text) == 'string' and number_or(nil, text)
  if not expires then return end
  local left = math.max(expires, until_ms) + RECORD_SLACK_MS - now
  redis.call('PEXPIRE', claim, string.format('%.0f', math.max(1, left)))
end

local function facts_of(event)
  return string.format(FACTS_FORMAT, event.a, event.d, event.u, event.g, event.o, event.h, event.n, event.r, event.c,
    event.m, event.b, event.e)
end

local due = {}
local function save(event)
  event.x = gone_from(event)
  if event.x + EXPIRY_SLACK_MS / 2 > event.e then
    event.e = event.x + EXPIRY_SLACK_MS
    for _, large in ipairs(LARGE) do expire(event, large) end
  elseif event.is_first_attempt then
    expire(event, 'attempts')
  end
  if event.h > 0 or math.max(event.u, event.d) > event.a + CLAIM_EXTENDED_MS then
    keep_claim(event.tenant, event.id, event.x)
  end
  local gone = string.format('%d', event.x)
  local fields = {'x', gone, 's', facts_of(event)}
  if event.type then
    fields[5], fields[6] = 't', event.type
  end
  if event.fan_out then
    fields[#fields + 1] = 'f'
    fields[#fields + 1] = event.fan_out
  end
  redis.call('HSET', event.key, unpack(fields))
  due[#due + 1] = gone
  due[#due + 1] = event.name
end

local function save_all()
  for _, event in pairs(events) do
    -- One whose keys hold something else than ours costs itself.
    if event and event.changed then pcall(save, event) end
  end
  pcall(call_in_parts, 'ZADD', root .. ':due', due)
end
-- Nothing more is written of an event whose keys hold something else than ours.
local function give_up(tenant, id)
  events[tenant .. '|' .. id] = false
end

-- Returns how many rows went, the event's own included.
local function forget(name)
  local tenant, id = string.match(name, '^([^|]*)|(.*)$')
  if not tenant then return redis.call('ZREM', root .. ':due', name) end
  local rows = 1
  local bytes = events[name] and events[name].b
  if not bytes then
    local packed = redis.pcall('HGET', key_of('event', tenant, id), 's')
    bytes = type(packed) == 'string' and number_or(0, string.match(packed, ' (%d+) %d+$')) or 0
  end
  for _, what in ipairs({'deliveries', 'attempts'}) do
    -- What is no hash of ours goes all the same, and has no fields.
    for _, field in ipairs(redis.pcall('HKEYS', key_of(what, tenant, id))) do
      local endpoint, rest = string.match(field, '^([^|]*)|(.*)$')
      if endpoint then redis.pcall('ZREM', list_of(what, tenant, endpoint), id .. '|' .. rest) end
      rows = rows + 1
    end
  end
  local keys = {key_of('event', tenant, id)}
  for _, large in ipairs(LARGE) do keys[#keys + 1] = key_of(large, tenant, id) end
  redis.call('DEL', unpack(keys))
  keep_claim(tenant, id, 0)
  redis.call('ZREM', root .. ':events', name)
  redis.call('ZREM', root .. ':events:' .. tenant, name)
  redis.call('ZREM', root .. ':due', name)
  grown[tenant] = (grown[tenant] or 0) - bytes
  events[name] = false
  return rows
end

-- Takes out up to count events whose time has come; one event at least goes whole.
local function trim(count)
  local rows = 0
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', root .. ':due', '-inf', now, 'LIMIT', 0, count)) do
    if rows >= TRIMMED_ROWS_MAX then return end
    rows = rows + forget(name)
  end
end

-- Adds up what has grown; returns what all events of the shard weigh.
local function sum_up()
  local all = 0
  for tenant, bytes in pairs(grown) do
    all = all + bytes
    local left = redis.call('ZINCRBY', root .. ':tenants', string.format('%.0f', bytes), tenant)
    if tonumber(left) <= 0 then redis.call('ZREM', root .. ':tenants', tenant) end
  end
  grown = {}
  return add_to(all, root .. ':bytes')
end

-- Events that may go next: of the tenant that keeps most, its oldest in the order in which they would expire. While events
-- lie there that came before tenants were weighed (all weights together are less than the bytes), the first to expire.
local function first_to_go(bytes)
  local fullest, weight = unpack(redis.call('ZREVRANGE', root .. ':tenants', 0, 0, 'WITHSCORES'))
  if not fullest or tonumber(weight) * redis.call('ZCARD', root .. ':tenants') < bytes then
    return redis.call('ZRANGE', root .. ':due', 0, TAKEN - 1)
  end
  local names = redis.call('ZRANGE', root .. ':events:' .. fullest, 0, COMPARED - 1)
  local due = {}
  local scores = #names > 0 and redis.call('ZMSCORE', root .. ':due', unpack(names)) or {}
  for index, name in ipairs(names) do due[name] = number_or(0, scores[index]) end
  table.sort(names, function(left, right)
    if due[left] ~= due[right] then return due[left] < due[right] end
    return left < right
  end)
  return names
end

local function finish(bytes_max)
  save_all()
  local bytes, gone = sum_up(), 0
  -- Each write keeps the bound, so a sum that is so far from it was written by somebody else: nobody's history goes for it.
  if bytes < 0 or bytes > bytes_max * 2 then bytes = weigh_tenants(root, ':events:') end
  while bytes > bytes_max and gone < EVICTED_MAX do
    local names = first_to_go(bytes)
    if #names == 0 then return end
    for index = 1, math.min(#names, TAKEN) do
      forget(names[index])
      gone = gone + 1
      bytes = sum_up()
      if bytes <= bytes_max then return end
    end
  end
end
