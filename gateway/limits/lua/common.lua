-- What the scripts share. Times are milliseconds of the server's clock, the only one that all replicas have in common.
--
--   <prefix>replicas     sorted set: replica → until when it counts as alive
--   a window             hash: `used`, `head` and `last` slot, and the amount of each slot of time
--   requests at once     hash: replica → how many it holds; those of a replica that is not alive do not count
--   a budget             hash: `spent`, and replica → what it has reserved
--
-- Whole numbers are written with %.0f: Lua would write large ones as 1e+15.

local RESOLUTION = 100
local CHUNK = 100

local function whole(number)
  return string.format('%.0f', number)
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Calls `see` with each slot from `first` to `last` that holds something, oldest first, until it returns true.
local function walk(key, first, last, see)
  for from = first, last, CHUNK do
    local fields = {}
    for slot = from, math.min(from + CHUNK - 1, last) do
      fields[#fields + 1] = whole(slot)
    end
    local amounts = redis.call('HMGET', key, unpack(fields))
    for index, amount in ipairs(amounts) do
      if amount and see(fields[index], tonumber(amount)) then return end
    end
  end
end

-- What is in a window, after all that has left it was taken out; and its first and last slot.
local function look_into(key, now, window)
  local state = redis.call('HMGET', key, 'used', 'head', 'last')
  if not state[2] then return 0, nil, nil end
  local used, head, last = tonumber(state[1]), tonumber(state[2]), tonumber(state[3])
  local oldest = math.floor((now - window) / RESOLUTION)
  if last < oldest then
    redis.call('DEL', key)
    return 0, nil, nil
  end
  if head < oldest then
    local left = {}
    walk(key, head, oldest - 1, function(field, amount)
      left[#left + 1] = field
      used = used - amount
    end)
    if #left > 0 then redis.call('HDEL', key, unpack(left)) end
    redis.call('HSET', key, 'used', whole(used), 'head', whole(oldest))
    head = oldest
  end
  return used, head, last
end

local function alive(replicas, now)
  local set = {}
  for _, replica in ipairs(redis.call('ZRANGEBYSCORE', replicas, whole(now), '+inf')) do
    set[replica] = true
  end
  return set
end

-- What living replicas hold; what the dead held is forgotten.
local function held_by(key, living)
  local sum = 0
  local fields = redis.call('HGETALL', key)
  for index = 1, #fields, 2 do
    if living[fields[index]] then
      sum = sum + tonumber(fields[index + 1])
    elseif fields[index] ~= 'spent' then
      redis.call('HDEL', key, fields[index])
    end
  end
  return sum
end
