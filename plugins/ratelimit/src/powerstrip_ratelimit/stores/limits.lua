-- Decides all policies of one request at one moment, by the rules of domain/policies.py.
--
-- KEYS  one for each count
-- ARGV  the verb, then seven for each count: algorithm, limit (gcra: burst), period, step (sliding: grain, gcra:
--       interval), 1 if it is enforced, cost, lease
--
-- Times are microseconds of this server's clock. Numbers stay below 2^53, up to which Lua's are exact.
-- Answers are integers of eight bytes in one text, which both sides read and write faster than a list. `decide` and `peek`:
-- 1 if the request is allowed, then for each count allowed, remaining, retry_after, reset_after. `reset`: how many keys
-- had anything. `renew`, `release`: nothing.
--
-- One long story without functions: making these again for each request would take longer than the work itself.

local call, floor, ceil, unpack_numbers = redis.call, math.floor, math.ceil, struct.unpack
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local CONCURRENT_RETRY = 1000000
local margin = 0 -- milliseconds for which keys stay beyond their use

local verb = ARGV[1]

if verb == 'release' or verb == 'renew' then
  for i = 1, #KEYS do
    local a = i * 7 - 5
    if ARGV[a] == 'concurrent' then
      local ends = call('ZSCORE', KEYS[i], ARGV[a + 6])
      if ends and verb == 'release' then
        call('ZREM', KEYS[i], ARGV[a + 6])
      elseif ends and ends + 0 > now then
        call('ZADD', KEYS[i], now + ARGV[a + 2], ARGV[a + 6])
        local needed = ceil(ARGV[a + 2] / 1000) + margin
        if call('PTTL', KEYS[i]) < needed then call('PEXPIRE', KEYS[i], needed) end
      end
    end
  end
  return ''
end

local allowed = 1
-- With room for three counts, because growing takes longer than what is done with them.
local answer = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
local kept, found = {}, {false, false, false, false, false, false, false, false, false}

local n = #KEYS
for i = 1, n do
  local key, a = KEYS[i], i * 7 - 5
  local kind, limit, cost = ARGV[a], ARGV[a + 1] + 0, ARGV[a + 5] + 0
  local fits, free, retry_after, reset_after = 1, limit, 0, 0

  if kind == 'sliding' then
    -- Numbers of eight bytes in one text, which takes fewer calls than a list: the units that had been taken in all before
    -- the oldest mark; then for each mark its time, and the units taken in all up to it. So without its first sixteen
    -- bytes a text is one of a mark less.
    local marks = call('GET', key)
    if marks then
      local period = ARGV[a + 2] + 0
      local last, taken = unpack_numbers('<dd', marks, #marks - 15)
      if last > now then
        -- The clock was set back. What lies ahead of it counts as done now: never too early, and no longer than a period.
        local parts = {string.sub(marks, 1, 8)}
        for m = 9, #marks, 16 do
          local time, upto = unpack_numbers('<dd', marks, m)
          parts[#parts + 1] = struct.pack('<dd', time > now and now or time, upto)
        end
        marks, last = table.concat(parts), now
        call('SET', key, marks, 'PX', ceil(period / 1000) + margin)
      end
      if last + period > now then
        local first, before, oldest, upto = 1, unpack_numbers('<ddd', marks)
        while oldest + period <= now do
          first = first + 16
          before, oldest, upto = unpack_numbers('<ddd', marks, first)
        end
        if first > 1 then marks = string.sub(marks, first) end
        free = limit - taken + before
        reset_after = last + period - now
        kept[i], found[i], found[n + i], found[2 * n + i] = marks, last, taken, oldest
        if cost > free then
          -- It fits when the first mark has expired up to which so much was taken.
          local wanted = taken + cost - limit
          first = 1
          while upto < wanted do
            first = first + 16
            before, oldest, upto = unpack_numbers('<ddd', marks, first)
          end
          fits, retry_after = 0, oldest + period - now
          if free < 0 then free = 0 end
        end
      end
    end

  elseif kind == 'gcra' then
    -- A number: the theoretical arrival time.
    local step = ARGV[a + 3] + 0
    local tolerance, period = limit * step, ARGV[a + 2] + 0
    reset_after = (call('GET', key) or now) - now
    if reset_after < 0 then reset_after = 0 end
    if reset_after > period and reset_after > tolerance then
      -- The clock was set back, as no rate allows this: all is used, and no more than that.
      reset_after = tolerance > period and tolerance or period
      call('SET', key, now + reset_after, 'PX', ceil(reset_after / 1000) + margin)
    end
    local after = reset_after + cost * step
    free = floor((tolerance - reset_after) / step)
    found[i] = after
    if after > tolerance then
      fits, retry_after = 0, after - tolerance
      if free < 0 then free = 0 end
    end

  else
    -- A sorted set: the leases by the times at which they end.
    call('ZREMRANGEBYSCORE', key, '-inf', now)
    found[i] = call('ZCARD', key)
    free = limit - found[i]
    if free <= 0 then
      fits, free, retry_after = 0, 0, CONCURRENT_RETRY
    end
  end

  if fits == 0 and ARGV[a + 4] == '1' then allowed = 0 end
  local o = i * 4 - 2
  answer[o], answer[o + 1], answer[o + 2], answer[o + 3] = fits, free, retry_after, reset_after
end

if verb == 'decide' and allowed == 1 then
  for i = 1, n do
    local o = i * 4 - 2
    if answer[o] == 1 then
      local key, a, before = KEYS[i], i * 7 - 5, found[i]
      local kind, period, cost, step = ARGV[a], ARGV[a + 2] + 0, ARGV[a + 5] + 0, ARGV[a + 3] + 0
      local free, next_free, reset_after = answer[o + 1] - cost, 0, period

      if kind == 'sliding' then
        local marks
        if before then
          local taken, oldest = found[n + i] + cost, found[2 * n + i]
          marks = kept[i]
          if floor(before / step) == floor(now / step) then
            marks = string.sub(marks, 1, -17)
            if oldest == before then oldest = now end
          end
          marks = marks .. struct.pack('<dd', now, taken)
          next_free = oldest + period - now
        else
          marks = struct.pack('<ddd', 0, now, cost)
          next_free = period
        end
        call('SET', key, marks, 'PX', ceil(period / 1000) + margin)

      elseif kind == 'gcra' then
        local tolerance = ARGV[a + 1] * step
        call('SET', key, now + before, 'PX', ceil(before / 1000) + margin)
        free, next_free, reset_after = floor((tolerance - before) / step), before + step - tolerance, before

      else
        call('ZADD', key, now + period, ARGV[a + 6])
        local needed = ceil(period / 1000) + margin
        if call('PTTL', key) < needed then call('PEXPIRE', key, needed) end
        free, next_free, reset_after = answer[o + 1] - 1, CONCURRENT_RETRY, 0
      end

      answer[o + 1], answer[o + 3] = free, reset_after
      if free == 0 then answer[o + 2] = next_free end
    end
  end

elseif verb == 'reset' then
  local had = 0
  for i = 1, #KEYS do
    local is_held = ARGV[i * 7 - 5] == 'concurrent' and found[i] > 0
    if is_held or answer[i * 4 + 1] > 0 then had = had + 1 end
    call('DEL', KEYS[i])
  end
  return struct.pack('<l', had)
end

answer[1] = allowed
return struct.pack('<' .. string.rep('l', n * 4 + 1), unpack(answer))
