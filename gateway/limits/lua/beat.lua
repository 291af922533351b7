-- Says that a replica lives. Returns how many do, and whether this one had been given up.
--
-- KEYS  the replicas
-- ARGV  this replica, how long it counts as alive (ms)

local now = now_ms()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. whole(now))
local lapsed = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 0 or 1
redis.call('ZADD', KEYS[1], whole(now + tonumber(ARGV[2])), ARGV[1])
redis.call('PEXPIRE', KEYS[1], 86400000)
return { redis.call('ZCARD', KEYS[1]), lapsed }
