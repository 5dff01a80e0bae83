-- KEYS: 1 epoch, 2 version, 3 endpoints, 4 changes, 5 highest forgotten version. ARGV: 1 epoch, 2 version that the caller holds.
-- Returns {epoch or nil, version} when both are those that the caller holds; else third {id, place and text, ...}: of what changed since,
-- with nil for what is gone, and a fourth, 'changes', where that is known; or of all.
-- Atomic: the endpoints are those of that version.

local epoch = redis.call('GET', KEYS[1])
local version = knownVersion()
if epoch == ARGV[1] and version == ARGV[2] then return {epoch, version} end
local ids = epoch == ARGV[1] and changed_since(ARGV[2], version)
if not ids then return {epoch, version, redis.call('HGETALL', KEYS[3])} end
local changed = {}
for _, id in ipairs(ids) do
  changed[#changed + 1] = id
  changed[#changed + 1] = redis.call('HGET', KEYS[3], id)
end
return {epoch, version, changed, 'changes'}
