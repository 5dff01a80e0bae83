-- Part: put before every script in tests. `now` is the caller's time, the first argument, which the script does not see.
local now = tonumber(table.remove(ARGV, 1))
