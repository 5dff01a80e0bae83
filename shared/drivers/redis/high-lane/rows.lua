-- Part: the rows of a lane. KEYS begin with list, turns, fresh, bell. What waits of a tenant is a row, a list of its own
-- beside the list of the lane; what has no tenant, or a tenant whose row is a key of another type, lies in the lane's list. Every
-- row that holds something has its tenant in `turns` or `fresh`, and the lane's list has '' in `fresh`. The bell hangs while one of
-- the two has somebody: whoever waits for it asks then.

local list, turns, fresh, bell = unpack(KEYS, 1, 4)

local function row_of(tenant)
  if tenant == '' then return list end
  return list .. ':row:' .. tenant
end

-- None where the row is a key of another type.
local function items_of(row)
  local length = redis.pcall('LLEN', row)
  return type(length) == 'number' and length or 0
end

local function ring_for(tenant)
  if redis.call('EXISTS', bell) == 0 then redis.call('LPUSH', bell, '') end
  redis.call('LPUSH', fresh, tenant)
end

-- By LPUSH or RPUSH. The turn comes first: a step that fails leaves a turn without a row, which costs one look, and never a row
-- without a turn.
local function put(push, tenant, element)
  local row = row_of(tenant)
  local length = redis.pcall(push .. 'X', row, element)
  if type(length) ~= 'number' then
    row, tenant = list, ''
    length = redis.call(push .. 'X', row, element)
  end
  if length > 0 then return end
  ring_for(tenant)
  redis.call(push, row, element)
end

-- To the head of its row, marked as one that may have been worked on. A ticket of before rows names no tenant.
local function put_back(ticket, element)
  if string.byte(element) ~= 1 then element = '\1' .. element end
  put('RPUSH', string.match(ticket, '^[^:]*:[^:]*:(.*)$') or '', element)
end

-- Tickets in the order of taking. Returns how many were held still.
local function give_back(held, leases, tickets)
  local returned = 0
  for at = #tickets, 1, -1 do
    local element = redis.call('HGET', held, tickets[at])
    if element then
      put_back(tickets[at], element)
      redis.call('HDEL', held, tickets[at])
      redis.call('ZREM', leases, tickets[at])
      returned = returned + 1
    end
  end
  return returned
end

-- Gives the rows of these events their turns again, `<tenant>/...` each. Returns how many it found.
local function find_rows(names)
  local found, seen = 0, {}
  for _, name in ipairs(names) do
    local tenant = string.match(name, '^[^/]*')
    if not seen[tenant] and items_of(row_of(tenant)) > 0 then
      ring_for(tenant)
      found = found + 1
    end
    seen[tenant] = true
  end
  return found
end
