-- Part: put before every script. Numbers of ours as Redis keeps them. What somebody else wrote in the place of one costs itself:
-- it counts as another number, and the next writing takes its place.

local function number_or(otherwise, text)
  local number = text and tonumber(text)
  if number and number > -2 ^ 53 and number < 2 ^ 53 then return number end
  return otherwise
end

-- Where there is no number of ours it begins with this one. Returns the sum.
local function add_to(by, key, field)
  local more = string.format('%.0f', by)
  local sum = field and redis.pcall('HINCRBY', key, field, more) or redis.pcall('INCRBY', key, more)
  if type(sum) == 'number' and sum > -2 ^ 53 and sum < 2 ^ 53 then return sum end
  if field then redis.call('HSET', key, field, more) else redis.call('SET', key, more) end
  return by
end

-- A command with any number of values, a part of them at a time: Lua's stack takes some 8,000.
local function call_in_parts(command, key, values)
  for at = 1, #values, 1000 do
    redis.call(command, key, unpack(values, at, math.min(#values, at + 999)))
  end
end
