-- Part: put before a script that was given bytes over HTTP. JSON carries text alone, so each byte came as the character of its
-- number; the first argument, which the script does not see, says which arguments these are.
local byte_of = {}
for code = 128, 255 do byte_of[string.char(192 + math.floor(code / 64), 128 + code % 64)] = string.char(code) end
for place in string.gmatch(table.remove(ARGV, 1), '%d+') do
  local at = tonumber(place)
  ARGV[at] = string.gsub(ARGV[at], '[\194\195][\128-\191]', byte_of)
end
