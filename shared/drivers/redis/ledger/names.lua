-- Part: names, and the facts of one event that is kept.
-- Lua that the scripts of the ledger share. KEYS[1] is the root of one shard; every other name begins with it and so
-- lies in its slot:
--
--   :event:<tenant>:<id>          hash: `x` gone from, `s` see `facts`, `t` type, `f` JSON of the fan-out; stays until it
--                                 is trimmed, for it knows its bytes
--   :body:<tenant>:<id>           the packed envelope
--   :deliveries:<tenant>:<id>     hash, <endpoint>|<generation> -> <state> <attempts> <last> <claim> <JSON>
--   :attempts:<tenant>:<id>       hash, <endpoint>|<generation>|<attempt> -> JSON
--   :times:<tenant>:<id>          sorted set, the fields of the attempts by their time, from the second attempt on
--   :to:<tenant>:<endpoint>:deliveries   sorted set, <id>|<generation> by the event's acceptance
--   :to:<tenant>:<endpoint>:attempts     sorted set, <id>|<generation>|<attempt> by time
--   :events, :events:<tenant>     sorted sets, <tenant>|<id> by acceptance
--   :due                          sorted set, <tenant>|<id> by the time from which the event is gone
--   :bytes                        what all events of the shard weigh
--   :tenants                      sorted set, tenants by what their events weigh
--
-- One name of another store is touched: the claim of an event's own id, to last as long as an event that takes long.
--
-- Tenants, event ids and endpoint ids hold neither `|` nor `:`. `last` is the highest attempt that has a result;
-- `claim` is what the delivery asks of its event: `o` an attempt to come, `h` held back, `-` nothing more.

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end
local root = KEYS[1]
local FINAL = set_of(FINAL_STATES)
local HELD = set_of(HELD_STATES)

local function key_of(what, tenant, id)
  return root .. ':' .. what .. ':' .. tenant .. ':' .. id
end
local function list_of(what, tenant, endpoint)
  return root .. ':to:' .. tenant .. ':' .. endpoint .. ':' .. what
end
-- The chosen fields of an event, after x; nil when it is gone, or is not what these scripts wrote: a row that was put
-- there by hand or damaged costs itself and nothing else.
local function kept(tenant, id, ...)
  local found = redis.call('HMGET', key_of('event', tenant, id), 'x', ...)
  local gone_from = number_or(nil, found[1])
  if not gone_from or gone_from <= now then return nil end
  return found
end
-- The acceptance, as text, of what lies in s; nil when that is no list of numbers.
local function accepted_at(packed)
  return packed and string.match(packed, '^%d+')
end
-- When an attempt was made, as text, by its JSON.
local function attempted_at(json)
  return string.match(json, '"atMs":(%d+)') or '0'
end
