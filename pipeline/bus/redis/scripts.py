"""What must happen in Redis in one step. Each script checks first that its caller may do it."""

from dataclasses import dataclass, field
from hashlib import sha1


@dataclass(frozen=True, slots=True)
class Script:
    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


ACQUIRE = Script("""
-- keys: lease; arguments: holder, milliseconds. 1 where it is held now.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

RENEW = Script("""
-- keys: lease; arguments: holder, milliseconds. 1 where it is held now.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
""")

RELEASE = Script("""
-- keys: lease; arguments: holder.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
""")

_NEWEST = """
local function newest(stream)
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  return last and tonumber(string.match(last[1], '^%d+')) or 0
end
"""

OPEN = Script(f"""
-- keys: lease, captions, history; arguments: holder. The newest number and the history, for the holder to go on with.
{_NEWEST}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
if redis.call('HEXISTS', KEYS[3], '!first') == 0 then
  redis.call('DEL', KEYS[3])
  return {{newest(KEYS[2]), {{}}}}
end
redis.call('HSET', KEYS[3], '!writer', ARGV[1])
return {{newest(KEYS[2]), redis.call('HGETALL', KEYS[3])}}
""")

PUBLISH = Script(f"""
-- keys: lease, captions, history
-- arguments: holder, content of Redis, first number, whether all of the history is here ('1'), newest number that was
-- written before, length of the stream, seconds until all expires (0: as it is), how many fields of the history go,
-- these fields, and of each event its number, its field, its JSON
-- 'done', and only then it is; 'unheld': nobody has the lease; 'behind': all of the history is needed; 'superseded'.
{_NEWEST}
local holder, content, first, whole, before, length, seconds = unpack(ARGV, 1, 7)
local lease = redis.call('GET', KEYS[1])
if not lease then return 'unheld' end
if lease ~= holder then return 'superseded' end
local last = newest(KEYS[2])
local known = redis.call('HMGET', KEYS[3], '!first', '!writer')
if last > tonumber(before) and known[2] ~= holder then return 'superseded' end
if whole == '1' then
  redis.call('DEL', KEYS[3])
elseif last < tonumber(before) or not known[1] then
  return 'behind'
end
redis.call('HSET', KEYS[3], '!first', first, '!writer', holder, '!content', content)
local at = 9 + ARGV[8]
for index = at, #ARGV, 3 do
  local number, name, event = ARGV[index], ARGV[index + 1], ARGV[index + 2]
  if tonumber(number) > last then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', length, number .. '-0', 'e', event, 'k', name)
  end
  redis.call('HSET', KEYS[3], name, event)
end
for index = 9, at - 1 do redis.call('HDEL', KEYS[3], ARGV[index]) end
if seconds ~= '0' then
  redis.call('EXPIRE', KEYS[2], seconds)
  redis.call('EXPIRE', KEYS[3], seconds)
end
return 'done'
""")

TELL = Script(f"""
-- keys: lease, captions, history; arguments: newest number known, JSON of the event up to its number and from there on.
-- 0 where somebody has the lease.
{_NEWEST}
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local number = string.format('%d', math.max(newest(KEYS[2]), tonumber(ARGV[1])) + 1)
local event = ARGV[2] .. number .. ARGV[3]
redis.call('XADD', KEYS[2], number .. '-0', 'e', event, 'k', '#' .. number)
redis.call('HSET', KEYS[3], '#' .. number, event, '!writer', '')
return 1
""")

REPORT = Script("""
-- keys: lease, progress, tracks, audio
-- arguments: holder, oldest id that is needed, seconds until all expires (0: as it is), how many tracks, of each its id
-- and its progress, then ids of entries that are needed no more. 0 where the lease is not the holder's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local last = 4 + 2 * ARGV[4]
for index = 5, last, 2 do
  redis.call('HSET', KEYS[2], ARGV[index], ARGV[index + 1])
  if ARGV[index + 1] == 'inf' then redis.call('HDEL', KEYS[3], ARGV[index]) end
end
redis.call('XTRIM', KEYS[4], 'MINID', ARGV[2])
for index = last + 1, #ARGV do redis.call('XDEL', KEYS[4], ARGV[index]) end
if ARGV[3] ~= '0' then
  for index = 2, 4 do redis.call('EXPIRE', KEYS[index], ARGV[3]) end
end
return 1
""")

SCRIPTS = (ACQUIRE, RENEW, RELEASE, OPEN, PUBLISH, TELL, REPORT)
