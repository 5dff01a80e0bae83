-- Part: the tenant's version. One whose version was forgotten, or that never had any, has the highest forgotten one: nothing
-- that anybody holds of a tenant can then be newer than what Redis answers. KEYS: 2 version, the last one the highest forgotten.

local function knownVersion()
  local version = redis.call('GET', KEYS[2])
  if number_or(-1, version) >= 0 then return version end
  local forgotten = redis.call('GET', KEYS[#KEYS])
  return number_or(-1, forgotten) >= 0 and forgotten or '0'
end
