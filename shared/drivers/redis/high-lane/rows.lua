-- Part: the rows of a lane. KEYS begin with list, turns, fresh. What waits of a tenant is a row, a list of its own
-- beside the list of the lane; what has no tenant, or a tenant whose row is a key of another type, lies in the lane's list. Every
-- row that holds something has its tenant in `turns` or `fresh`, and the lane's list has '' in `fresh`: the bell rings there.

local list, turns, fresh = unpack(KEYS, 1, 3)

local function row_of(tenant)
  if tenant == '' then return list end
  return list .. ':row:' .. tenant
end

local function has_items(row)
  return redis.call('TYPE', row).ok == 'list'
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
  redis.call('LPUSH', fresh, tenant)
  redis.call(push, row, element)
end

-- To the head of its row, marked as one that may have been worked on. A ticket of before rows names no tenant.
local function put_back(ticket, element)
  if string.byte(element) ~= 1 then element = '\1' .. element end
  put('RPUSH', string.match(ticket, '^[^:]*:[^:]*:(.*)$') or '', element)
end

-- Gives the rows of these events their turns again, `<tenant>/...` each. Returns how many it found.
local function ring_for(names)
  local found, seen = 0, {}
  for _, name in ipairs(names) do
    local tenant = string.match(name, '^[^/]*')
    if not seen[tenant] and has_items(row_of(tenant)) then
      redis.call('LPUSH', fresh, tenant)
      found = found + 1
    end
    seen[tenant] = true
  end
  return found
end
