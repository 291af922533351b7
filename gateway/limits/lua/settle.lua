-- Replaces what a request reserved by what it used.
--
-- KEYS  the counter of each claim
-- ARGV  this replica, the slot in which the request was taken ('' where it was not taken here); then for each claim:
--       kind, amount reserved by this replica, amount used

local me, slot = ARGV[1], ARGV[2]
for index, key in ipairs(KEYS) do
  local at = 3 + (index - 1) * 3
  local kind, reserved, used = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if kind == 'window' then
    -- Once the slot has left the window, what is in it now is others'.
    if slot ~= '' and used ~= reserved and redis.call('HEXISTS', key, slot) == 1 then
      redis.call('HINCRBY', key, slot, whole(used - reserved))
      redis.call('HINCRBY', key, 'used', whole(used - reserved))
    end
  else
    if kind == 'budget' and redis.call('HEXISTS', key, 'spent') == 1 then
      redis.call('HINCRBY', key, 'spent', whole(used))
    end
    -- Where the reservation was forgotten meanwhile, it must not turn into a credit.
    if reserved > 0 and redis.call('HEXISTS', key, me) == 1 then
      local left = redis.call('HINCRBY', key, me, whole(-reserved))
      if left <= 0 then redis.call('HDEL', key, me) end
    end
  end
end
