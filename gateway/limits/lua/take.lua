-- Takes all that a request asks for, or nothing.
--
-- KEYS  the replicas, then the counter of each claim
-- ARGV  this replica; then for each claim: kind, limit, amount, window or end (ms), and what is known to be spent of a
--       budget that nobody has counted yet ('' where that has not been asked)
-- Returns one of
--   {'taken', slot, used, reset, used, reset, …}
--   {'refused', claim, wait (-1: never), used, reset, …}
--   {'unknown', claim, …}   budgets whose spend has to be read first
--   {'lapsed'}              this replica counts as dead; what it held was forgotten

local replicas, me = KEYS[1], ARGV[1]
local now = now_ms()
local slot = math.floor(now / RESOLUTION)
local claims, unknown, living = {}, {}, nil

for index = 1, #KEYS - 1 do
  local at = 2 + (index - 1) * 5
  local claim = {
    key = KEYS[index + 1],
    kind = ARGV[at],
    limit = tonumber(ARGV[at + 1]),
    amount = tonumber(ARGV[at + 2]),
    time = tonumber(ARGV[at + 3]),
  }
  claims[index] = claim
  if claim.kind ~= 'window' and not living then
    living = alive(replicas, now)
    if not living[me] then return { 'lapsed' } end
  end
  if claim.kind == 'budget' and redis.call('HEXISTS', claim.key, 'spent') == 0 then
    if ARGV[at + 4] == '' then
      unknown[#unknown + 1] = index
    else
      redis.call('HSET', claim.key, 'spent', ARGV[at + 4])
    end
  end
end
if #unknown > 0 then return { 'unknown', unpack(unknown) } end

local refused, wait = nil, 0
for index, claim in ipairs(claims) do
  local over
  if claim.kind == 'window' then
    local used, head, last = look_into(claim.key, now, claim.time)
    claim.used, claim.head, claim.last = used, head, last
    claim.reset = last and (last + 1) * RESOLUTION + claim.time - now or 0
    over = used + claim.amount - claim.limit
    claim.wait = claim.reset
    if over > 0 and head then
      local left = 0
      walk(claim.key, head, last, function(field, amount)
        left = left + amount
        claim.wait = (tonumber(field) + 1) * RESOLUTION + claim.time - now
        return left >= over
      end)
    end
  elseif claim.kind == 'held' then
    claim.used, claim.reset, claim.wait = held_by(claim.key, living), 0, 1000
    over = claim.used + claim.amount - claim.limit
  else
    local spent = tonumber(redis.call('HGET', claim.key, 'spent'))
    claim.used = spent + held_by(claim.key, living)
    claim.reset = math.max(1, claim.time - now)
    claim.wait = claim.reset
    over = claim.used + claim.amount - claim.limit
  end
  if over > 0 then
    if claim.amount > claim.limit then claim.wait = -1 end
    if not refused or (wait ~= -1 and (claim.wait == -1 or claim.wait > wait)) then
      refused, wait = index, claim.wait
    end
  end
end

local answer = refused and { 'refused', refused, wait } or { 'taken', slot }
for _, claim in ipairs(claims) do
  if not refused then
    local amount = whole(claim.amount)
    if claim.kind == 'window' then
      local head, last = claim.head or slot, math.max(claim.last or slot, slot)
      redis.call('HSET', claim.key, 'head', whole(head), 'last', whole(last))
      redis.call('HINCRBY', claim.key, 'used', amount)
      redis.call('HINCRBY', claim.key, whole(slot), amount)
      redis.call('PEXPIRE', claim.key, claim.time + 1000)
      claim.reset = (last + 1) * RESOLUTION + claim.time - now
    else
      redis.call('HINCRBY', claim.key, me, amount)
      -- Long past any answer; a budget is kept a day longer than it lasts, for settlements that come late.
      local kept = claim.kind == 'budget' and math.max(0, claim.time - now) or 0
      redis.call('PEXPIRE', claim.key, kept + 86400000)
    end
    claim.used = claim.used + claim.amount
  end
  answer[#answer + 1] = claim.used
  answer[#answer + 1] = claim.reset
end
return answer
