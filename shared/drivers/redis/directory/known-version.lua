-- Part: the tenant's version. One whose version was forgotten, or that never had any, has the highest forgotten one: nothing
-- that anybody holds of a tenant can then be newer than what Redis answers. KEYS: 2 version, the last one the highest forgotten.

local function knownVersion()
  return redis.call('GET', KEYS[2]) or redis.call('GET', KEYS[#KEYS]) or '0'
end
