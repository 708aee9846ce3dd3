"""What the server does in one step for the event log. All keys of a log have one hash tag, as a cluster wants it."""

# KEYS: meta, feed, topics, the event's id. ARGV: an epoch if there is none, the event, its topic, how many entries the
# feed keeps, how many the topic keeps (-1: it has no history), for how many ms, how many topics are kept, who appends,
# for how many ms ids are known, what the names of topics' keys begin with.
#
# `meta` holds the epoch, the newest offset and the floor: of topics that are not known, all up to there may be lost. An
# entry of a topic holds the offset of the one before it (`b`), so the oldest that is left tells what is gone.
APPEND = """
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[1]
  redis.call('DEL', KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', '0', 'floor', '0')
end
if ARGV[2] == '' then return 1 end
if not redis.call('SET', KEYS[4], '1', 'NX', 'PX', ARGV[9]) then return 0 end
local offset = redis.call('HINCRBY', KEYS[1], 'offset', 1)
local id = string.format('%.0f-0', offset)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], id, 'e', epoch, 'o', ARGV[8], 'p', ARGV[2])
local keep = tonumber(ARGV[5])
if keep < 0 then return 1 end
if keep > 0 then
  local before = redis.call('ZSCORE', KEYS[3], ARGV[3]) or redis.call('HGET', KEYS[1], 'floor')
  local topic = ARGV[10] .. epoch .. ':' .. ARGV[3]
  redis.call('XADD', topic, 'MAXLEN', keep, id, 'b', before, 'o', ARGV[8], 'p', ARGV[2])
  redis.call('PEXPIRE', topic, ARGV[6])
end
redis.call('ZADD', KEYS[3], offset, ARGV[3])
local excess = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[7])
if excess > 0 then
  local quietest = redis.call('ZPOPMIN', KEYS[3], excess)
  for at = 1, #quietest, 2 do
    redis.call('DEL', ARGV[10] .. epoch .. ':' .. quietest[at])
    redis.call('HSET', KEYS[1], 'floor', quietest[at + 1])
  end
end
return 1
"""

# KEYS: meta, topics. ARGV: the topic, a position's epoch and offset, what the names of topics' keys begin with.
# Answers whether it is complete, then the entries.
SINCE = """
local known = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'floor')
local offset = tonumber(ARGV[3])
if known[1] ~= ARGV[2] or offset > tonumber(known[2]) then return {0} end
local last = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or known[3])
if last <= offset then return {1} end
local topic = ARGV[4] .. ARGV[2] .. ':' .. ARGV[1]
local oldest = redis.call('XRANGE', topic, '-', '+', 'COUNT', 1)
if not oldest[1] or tonumber(oldest[1][2][2]) > offset then return {0} end
return {1, redis.call('XRANGE', topic, string.format('(%.0f-0', offset), '+')}
"""

# KEYS: meta, feed, topics. ARGV: an epoch. Begins it: what was not appended in time is lost, and everybody is told.
BREAK = """
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'offset', '0', 'floor', '0')
return 1
"""
