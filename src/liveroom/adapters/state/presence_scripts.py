"""What Redis does with presence, in Lua; the table of `scores.py` is rendered into it."""

from hashlib import sha1

from liveroom.adapters.state.scores import (
    LEFT,
    MOVES,
    SPARED,
    SPARED_MS,
    STALE_MS,
    UNWATCHED_MS,
    Kind,
    Move,
    Rule,
)
from liveroom.ports.presence import NEVER, SignKind


class Script:
    """A text that Redis knows by its hash once it has run it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.hash = sha1(text.encode(), usedforsecurity=False).hexdigest()


def _move_in_lua(sign: SignKind, kind: Kind, move: Move) -> str:
    return f"[{sign * 8 + kind}] = {{{move.kind:d}, '{move.timeout}', '{move.rule}'}}"


# Numbers are written out by `text`: left to itself Lua may round large ones.
_ENTRIES = f"""
local NEVER = {NEVER}
local function text(number) return string.format('%.0f', number) end
local function read(member)
  local score = redis.call('ZSCORE', KEYS[1], member)
  if not score then return {Kind.ABSENT:d}, 0 end
  score = tonumber(score)
  return score % 8, math.floor(score / 8)
end
local function put(member, kind, deadline)
  redis.call('ZADD', KEYS[1], text(math.min(deadline, NEVER) * 8 + kind), member)
end
"""

# Of a part; one that was lost has no moment at all.
_WATCHERS = f"""
local alive, since = tonumber(redis.call('GET', KEYS[3]) or nil), tonumber(redis.call('GET', KEYS[4]) or 0)
local function unwatched(now) return not alive or now - alive > {UNWATCHED_MS} end
"""

# A mark made in the same millisecond must differ: somebody may just be settling the first.
_MARKS = """
local function mark(name, now)
  local before = redis.call('ZSCORE', KEYS[2], name)
  if before then now = math.max(now, tonumber(before) + 1) end
  redis.call('ZADD', KEYS[2], text(now), name)
end
local named, names = {}, {}
local function once(name)
  if not named[name] then
    named[name] = true
    table.insert(names, name)
  end
end
"""

_MOVES = f"""
local MOVES = {{{", ".join(_move_in_lua(*key, move) for key, move in MOVES.items())}}}
local function moved(sign, kind, deadline, at, now, times)
  local move = MOVES[sign * 8 + kind]
  if not move then return end
  local after, timeout, rule = move[1], move[2], move[3]
  if timeout == 'grace_ms' and times.grace_ms >= NEVER then
    if after == {Kind.ENDED:d} and kind ~= {Kind.ABSENT:d} then return after, deadline end
    return
  end
  local heard_at, gone_at = deadline - times.silent_ms, deadline - times.grace_ms
  if (rule == '{Rule.RETURNED}' and at <= gone_at)
    or (rule == '{Rule.GONE}' and at < heard_at)
    or (rule == '{Rule.FRESH}' and at < now - times.grace_ms) then return end
  if rule == '{Rule.LATEST}' then at = math.max(at, math.min(now, heard_at)) end
  local to = math.min(at + times[timeout], NEVER)
  if rule == '{Rule.FORWARD}' then to = math.max(to, deadline) end
  if after == kind and to == deadline then return end
  return after, to
end
"""

RECORD = Script(f"""
{_ENTRIES} {_MARKS} {_MOVES}
local now, began = tonumber(ARGV[1]), {{}}
for i = 2, #ARGV, 6 do
  local member, sign, at = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local beat, silent, grace = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5])
  local name = string.match(member, '^(.*)/')
  local kind, deadline = read(member)
  local after, to = moved(sign, kind, deadline, at, now, {{beat_ms = beat, silent_ms = silent, grace_ms = grace}})
  if after then put(member, after, to) end
  if after == {Kind.ENDED:d} then
    local _, left = read(name .. '/{LEFT}')
    put(name .. '/{LEFT}', after, math.max(to, left))
  end
  if after == {Kind.BEATING:d} and kind ~= after then table.insert(began, member) end
  if kind == {Kind.ABSENT:d} and (after or sign == {SignKind.LOGGED_OUT:d}) then once(name) end
end
for _, name in ipairs(names) do mark(name, now) end
return {{names, began}}
""")

WATCH = Script(f"""
{_ENTRIES} {_WATCHERS} {_MARKS}
local now, beat, silent, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if unwatched(now) then
  redis.call('SET', KEYS[4], ARGV[1])
  redis.call('SET', KEYS[3], ARGV[1])
  return {{ARGV[1], 0, {{}}}}
end
if now > alive then redis.call('SET', KEYS[3], ARGV[1]) end
if most == 0 then return {{text(since), 0, {{}}}} end
local taken, spared = 0, 0
local function enough() return taken == most or spared == {SPARED} * most end
local function settle(member, kind)
  if (kind == {Kind.SILENT:d} or kind == {Kind.CONNECTED:d}) and now < since + silent then
    put(member, kind, math.min(now + {SPARED_MS}, since + silent))
    spared = spared + 1
  else
    redis.call('ZREM', KEYS[1], member)
    once(string.match(member, '^(.*)/'))
    taken = taken + 1
  end
end
local last = now < since + beat
while not last and not enough() do
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[5], 'WITHSCORES', 'LIMIT', 0, most)
  last = #due < 2 * most
  for i = 1, #due, 2 do
    if enough() then break end
    settle(due[i], tonumber(due[i + 1]) % 8)
  end
end
for _, name in ipairs(names) do mark(name, now) end
local left = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now - {STALE_MS}), 'LIMIT', 0, most)
for _, name in ipairs(left) do
  redis.call('ZADD', KEYS[2], ARGV[1], name)
  once(name)
end
return {{text(since), (enough() or #left == most) and 1 or 0, names}}
""")

LOOK = Script(f"""
{_ENTRIES} {_WATCHERS}
local now, found, i = tonumber(ARGV[1]), {{}}, 3
local held = unwatched(now) or now < since + tonumber(ARGV[2])
while i < #ARGV do
  local name, beat, sessions = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local online = not held and read(name .. '/{LEFT}') ~= {Kind.ABSENT:d} and 1 or 0
  for at = i + 3, i + 1 + 2 * sessions, 2 do
    local member = name .. '/' .. ARGV[at]
    local kind, deadline = read(member)
    if kind ~= {Kind.ABSENT:d} then online = 1 end
    if ARGV[at + 1] == '1' and (kind == {Kind.SILENT:d} or kind == {Kind.CONNECTED:d}) then
      put(member, {Kind.BEATING:d}, math.min(deadline, now + beat))
    end
  end
  table.insert(found, {{name, online, redis.call('ZSCORE', KEYS[2], name) or '0'}})
  i = i + 3 + 2 * sessions
end
return {{held and 1 or 0, found}}
""")

CLEAR = Script("""
local anew = {}
for i = 1, #ARGV, 2 do
  local mark = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]) or 0)
  if mark ~= tonumber(ARGV[i + 1]) then
    table.insert(anew, ARGV[i])
  elseif mark ~= 0 then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return anew
""")

RESTORE = Script("for i = 1, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'NX', ARGV[i], ARGV[i + 1]) end")
