-- KEYS: root. ARGV: as client/list.lua, then `rows` or `count`, tenant, endpoint, event, type, state, each or nothing. Row:
-- {score, id, id, JSON, packed envelope}; without the last two when they are only counted.
-- Returns nothing.

local what, tenant, endpoint, event, kind, state = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13]
local key = root .. ':all'
if event ~= '' then
  key = root .. ':event:' .. event
elseif endpoint ~= '' then
  key = root .. ':endpoint:' .. endpoint
elseif tenant ~= '' then
  key = root .. ':tenant:' .. tenant
end
local high, low = bounds()
scan(key, high, low, function(score, id)
  local meta, text = read(id)
  if not meta or (tenant ~= '' and meta.tenant ~= tenant) or (endpoint ~= '' and meta.endpoint ~= endpoint)
    or (kind ~= '' and meta.type ~= kind) or (state ~= '' and meta.state ~= state) then
    return nil
  end
  if what == 'count' then return {score, id}, 0 end
  local packed = redis.call('HGET', root .. ':bodies', id)
  if not packed then return nil end
  return {score, id, id, text, packed}, #packed
end)
return reply()
