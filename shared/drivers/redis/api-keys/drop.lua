-- KEYS: n keys of any kind, deleted.
-- ARGV: none.
-- Returns nothing.

for _, key in ipairs(KEYS) do redis.call('DEL', key) end
