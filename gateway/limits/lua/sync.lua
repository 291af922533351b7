-- Makes a replica known, anew under a new name after it was away, with what it holds and what it knows to be spent.
--
-- KEYS  the replicas, then counters
-- ARGV  the name that it had, the name that it has, how long it counts as alive (ms); then for each counter: kind, what
--       it holds ('' to leave that as it is), what is spent at least ('' where that isn't known), end of the budget (ms)

local replicas, before, me, life = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = now_ms()
if before ~= me then redis.call('ZREM', replicas, before) end
redis.call('ZADD', replicas, whole(now + life), me)
redis.call('PEXPIRE', replicas, 86400000)

for index = 1, #KEYS - 1 do
  local key, at = KEYS[index + 1], 4 + (index - 1) * 4
  local kind, held, spent = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local kept = 86400000
  if kind == 'budget' then
    local counted = tonumber(redis.call('HGET', key, 'spent') or '0')
    if spent ~= '' and tonumber(spent) >= counted then redis.call('HSET', key, 'spent', spent) end
    kept = kept + math.max(0, tonumber(ARGV[at + 3]) - now)
  end
  if held ~= '' then redis.call('HSET', key, me, held) end
  redis.call('PEXPIRE', key, kept)
end
