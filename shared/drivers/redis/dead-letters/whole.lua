-- KEYS: root. ARGV: `look`, `begin` or `end`, then the token of a filling or nothing. Whether the index has all that its
-- record has: a store that lost its data lost this, too. A filling that meets such a loss does not end well.
-- Returns 1 when it is whole, else 0.

local whole, filling = KEYS[1] .. ':whole', KEYS[1] .. ':filling'
if ARGV[1] == 'begin' then redis.call('SET', filling, ARGV[2], 'PX', FILLING_MS_MAX) end
if ARGV[1] == 'end' and redis.call('GET', filling) == ARGV[2] then
  redis.call('SET', whole, '1')
  redis.call('DEL', filling)
end
return redis.call('EXISTS', whole)
