-- KEYS: n keys. ARGV: n types, as TYPE calls them. Returns those keys that were of another type; each lies under `<key>:odd` now.
-- Atomic. Of one key the last that was put aside stays.

local moved = {}
for index, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= ARGV[index] then
    redis.call('RENAME', key, key .. ':odd')
    moved[#moved + 1] = key
  end
end
return moved
