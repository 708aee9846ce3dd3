-- Decides all policies of one request at one moment, by the rules of domain/policies.py.
--
-- KEYS  one for each count
-- ARGV  one for each count, packed (which is read at once, where seven words are seven texts that become numbers): kind
--       (1 sliding, 2 gcra, 3 concurrent), 1 if it is enforced, limit (gcra: burst), period, step (sliding: grain, gcra:
--       interval), cost; what follows is a lease. Then the verb, unless that is `decide`.
--
-- Times are microseconds of this server's clock. Numbers stay below 2^53, up to which Lua's are exact.
-- Answers are integers of eight bytes in one text, which both sides read and write faster than a list. `decide` and `peek`:
-- for each count 1 if it fits, and 2 more if the request is allowed; remaining, retry_after, reset_after. `reset`: how many
-- keys had anything. `renew`, `release`: nothing.
--
-- One long story without functions: making these again for each request would take longer than the work itself. For the
-- same reason what is known of the last count, which is most often the only one, stays where it is when it is written.

local call, floor, ceil = redis.call, math.floor, math.ceil
local numbers, text, sub = struct.unpack, struct.pack, string.sub
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local SLIDING, GCRA, COUNT, LEASE = 1, 2, '<BBdddd', 35
local CONCURRENT_RETRY = 1000000
local margin = 0 -- milliseconds for which keys stay beyond their use

local n = #KEYS
local verb = ARGV[n + 1]

if verb == 'release' or verb == 'renew' then
  for i = 1, n do
    local key, kind, _, _, period = KEYS[i], numbers(COUNT, ARGV[i])
    if kind > GCRA then
      local lease = sub(ARGV[i], LEASE)
      local ends = call('ZSCORE', key, lease)
      if ends and verb == 'release' then
        call('ZREM', key, lease)
      elseif ends and ends + 0 > now then
        call('ZADD', key, now + period, lease)
        local needed = ceil(period / 1000) + margin
        if call('PTTL', key) < needed then call('PEXPIRE', key, needed) end
      end
    end
  end
  return ''
end

local allowed, earlier = 1, nil
local kind, enforced, limit, period, step, cost, fits, free, retry_after, reset_after
-- sliding: marks that have not expired, the time of the last, the units taken up to it, the time of the first.
-- gcra: how far the arrival time lies ahead, if this is counted. concurrent: how many leases there are.
local marks, last, taken, oldest, after, held

for i = 1, n do
  if i > 1 then
    earlier = earlier or {}
    earlier[i - 1] = {
      kind, period, step, cost, fits, free, retry_after, reset_after, marks, last, taken, oldest, after, held, limit}
  end
  local key = KEYS[i]
  kind, enforced, limit, period, step, cost = numbers(COUNT, ARGV[i])
  fits, free, retry_after, reset_after = 1, limit, 0, 0

  if kind == SLIDING then
    -- Numbers of eight bytes in one text, which takes fewer calls than a list: the units that had been taken in all before
    -- the oldest mark; then for each mark its time, and the units taken in all up to it. So without its first sixteen
    -- bytes a text is one of a mark less.
    marks = call('GET', key)
    if marks then
      last, taken = numbers('<dd', marks, #marks - 15)
      if last > now then
        -- The clock was set back. What lies ahead of it counts as done now: never too early, and no longer than a period.
        local parts = {sub(marks, 1, 8)}
        for m = 9, #marks, 16 do
          local time, upto = numbers('<dd', marks, m)
          parts[#parts + 1] = text('<dd', time > now and now or time, upto)
        end
        marks, last = table.concat(parts), now
        call('SET', key, marks, 'PX', ceil(period / 1000) + margin)
      end
      if last + period > now then
        local first, before, upto = 1, nil, nil
        before, oldest, upto = numbers('<ddd', marks)
        while oldest + period <= now do
          first = first + 16
          before, oldest, upto = numbers('<ddd', marks, first)
        end
        if first > 1 then marks = sub(marks, first) end
        free = limit - taken + before
        reset_after = last + period - now
        if cost > free then
          -- It fits when the first mark has expired up to which so much was taken.
          local wanted, ends = taken + cost - limit, oldest
          first = 1
          while upto < wanted do
            first = first + 16
            before, ends, upto = numbers('<ddd', marks, first)
          end
          fits, retry_after = 0, ends + period - now
          if free < 0 then free = 0 end
        end
      else
        marks = false
      end
    end

  elseif kind == GCRA then
    -- A number: the theoretical arrival time.
    local tolerance = limit * step
    reset_after = (call('GET', key) or now) - now
    if reset_after < 0 then reset_after = 0 end
    if reset_after > period and reset_after > tolerance then
      -- The clock was set back, as no rate allows this: all is used, and no more than that.
      reset_after = tolerance > period and tolerance or period
      call('SET', key, now + reset_after, 'PX', ceil(reset_after / 1000) + margin)
    end
    after = reset_after + cost * step
    free = floor((tolerance - reset_after) / step)
    if after > tolerance then
      fits, retry_after = 0, after - tolerance
      if free < 0 then free = 0 end
    end

  else
    -- A sorted set: the leases by the times at which they end.
    call('ZREMRANGEBYSCORE', key, '-inf', now)
    held = call('ZCARD', key)
    free = limit - held
    if free <= 0 then
      fits, free, retry_after = 0, 0, CONCURRENT_RETRY
    end
  end

  if fits == 0 and enforced == 1 then allowed = 0 end
end

local answer, had = nil, 0
for i = n, 1, -1 do
  if i < n then
    kind, period, step, cost, fits, free, retry_after, reset_after, marks, last, taken, oldest, after, held, limit =
      unpack(earlier[i], 1, 15)
  end
  local key = KEYS[i]

  if verb == 'reset' then
    if reset_after > 0 or (kind > GCRA and held > 0) then had = had + 1 end
    call('DEL', key)

  elseif not verb and allowed == 1 and fits == 1 then
    local next_free
    if kind == SLIDING then
      if marks then
        if floor(last / step) == floor(now / step) then
          marks = sub(marks, 1, -17)
          if oldest == last then oldest = now end
        end
        marks = marks .. text('<dd', now, taken + cost)
        next_free = oldest + period - now
      else
        marks = text('<ddd', 0, now, cost)
        next_free = period
      end
      call('SET', key, marks, 'PX', ceil(period / 1000) + margin)
      free, reset_after = free - cost, period

    elseif kind == GCRA then
      local tolerance = limit * step
      call('SET', key, now + after, 'PX', ceil(after / 1000) + margin)
      free, next_free, reset_after = floor((tolerance - after) / step), after + step - tolerance, after

    else
      call('ZADD', key, now + period, sub(ARGV[i], LEASE))
      local needed = ceil(period / 1000) + margin
      if call('PTTL', key) < needed then call('PEXPIRE', key, needed) end
      free, next_free = free - 1, CONCURRENT_RETRY
    end
    if free == 0 then retry_after = next_free end
  end

  local said = text('<llll', fits + 2 * allowed, free, retry_after, reset_after)
  answer = i < n and said .. answer or said
end

return verb == 'reset' and text('<l', had) or answer
