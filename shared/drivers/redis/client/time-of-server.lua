-- Part: put before every script in service. `now` is the server's own time in epoch ms.
local now = redis.call("TIME")
now = now[1] * 1000 + math.floor(now[2] / 1000)
