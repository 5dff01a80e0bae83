-- Makes events known.
-- KEYS: root. ARGV: events per tenant, bytes per shard, then for each event tenant, id, type, acceptance, deliver-at or
-- 0, packed envelope. Returns the ordinals, from 1, of the new ones. An event that is kept already stays as it is; one accepted a day or
-- more after it takes its place, for by then the publisher may use the id again. With IS_RECALL an event for which there
-- is no room is left out.

local events_max, bytes_max = tonumber(ARGV[1]), tonumber(ARGV[2])
local count, ordinals = 0, {}
-- Acceptance and name of each that is new: of all, and by tenant.
local all, of_tenants = {}, {}
trim((#ARGV - 2) / 6 + 20)

-- Of an event that is told late: it would not be the first to go, or be gone already.
local function has_room(tenant, accepted, planned, bytes)
  if math.max(accepted, planned) + OPEN_KEPT_MS <= now then return false end
  local of_tenant = root .. ':events:' .. tenant
  if redis.call('ZCARD', of_tenant) >= events_max then
    local oldest = redis.call('ZRANGE', of_tenant, 0, 0, 'WITHSCORES')
    if oldest[2] and tonumber(oldest[2]) >= accepted then return false end
  end
  return number_or(0, redis.call('GET', root .. ':bytes')) + bytes <= bytes_max
end

-- Where a key of another type lies in the place of a list, no event of the tenant is remembered.
local is_listable = {}
local function must_be_listable(list_name)
  if is_listable[list_name] == nil then
    local type_of = redis.call('TYPE', root .. list_name).ok
    is_listable[list_name] = type_of == 'zset' or type_of == 'none'
  end
  if not is_listable[list_name] then error('no list: ' .. list_name) end
end

local function list_of_tenant(tenant)
  local rows = of_tenants[tenant]
  if not rows then
    must_be_listable(':events')
    must_be_listable(':events:' .. tenant)
    rows = {}
    of_tenants[tenant] = rows
  end
  return rows
end

local function list_all()
  call_in_parts('ZADD', root .. ':events', all)
  all = {}
  for tenant, rows in pairs(of_tenants) do
    call_in_parts('ZADD', root .. ':events:' .. tenant, rows)
    of_tenants[tenant] = {}
  end
end

local function remember(at)
  local tenant, id, accepted_text, packed = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 5]
  local accepted, planned = tonumber(accepted_text), tonumber(ARGV[at + 4])
  local event, is_over = load(tenant, id)
  if IS_RECALL and not event and not has_room(tenant, accepted, planned, #packed) then return end
  if event and accepted < event.a + EVENTS_KEPT_MS then return end
  local name, rows = tenant .. '|' .. id, list_of_tenant(tenant)
  if event or is_over then forget(name) end
  event = {key = key_of('event', tenant, id), tenant = tenant, id = id, name = name, type = ARGV[at + 2], changed = true,
    a = accepted, d = planned, u = accepted, g = 0, o = 0, h = 0, n = 0, r = 0, c = 0, m = -1, b = 0,
    e = math.max(accepted, planned) + OPEN_KEPT_MS + EXPIRY_SLACK_MS}
  events[name] = event
  weigh(event, EVENT_BYTES + #packed)
  redis.call('SET', key_of('body', tenant, id), packed, 'PX', string.format('%d', math.max(1, event.e - now)))
  for _, list in ipairs({all, rows}) do
    list[#list + 1] = accepted_text
    list[#list + 1] = name
  end
  if IS_RECALL then list_all() end
  count = count + 1
  ordinals[count] = (at + 3) / 6
end
for at = 3, #ARGV, 6 do
  if not pcall(remember, at) then give_up(ARGV[at], ARGV[at + 1]) end
end
list_all()
for tenant in pairs(of_tenants) do
  local of_tenant = root .. ':events:' .. tenant
  local kept_now = redis.pcall('ZCARD', of_tenant)
  local above = type(kept_now) == 'number' and math.min(kept_now - events_max, count + 100) or 0
  if above > 0 then
    for _, name in ipairs(redis.call('ZRANGE', of_tenant, 0, above - 1)) do forget(name) end
  end
end
finish(bytes_max)
return ordinals
