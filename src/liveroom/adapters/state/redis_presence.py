"""Presence in Redis, standalone or Cluster: in 16 parts, each on one node; a verb is one script a part.

Keys, NN being the part: `liveroom:presence:{NN}` a sorted set of "tenant/userId/sid" by deadline (ms)
and kind; `liveroom:unsettled:{NN}` a sorted set of "tenant/userId" by mark; `liveroom:alive:{NN}` the
moment of the last watch; `liveroom:gap:{NN}` the moment the last gap ended. None of them expires.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any
from zlib import crc32

from redis.exceptions import NoScriptError

from liveroom.adapters.state.presence_scripts import CLEAR, LOOK, RECORD, RESTORE, WATCH, Script
from liveroom.adapters.state.redis import RedisState
from liveroom.adapters.state.scores import RESTORABLE, Kind, first_after, from_name, moved, to_member, to_name, to_score
from liveroom.ports.presence import Asked, Recorded, Sign, Standing, Timeouts, User, Watched

PARTS = 16
# A script holds up its Redis: with this many signs or users for a millisecond or two.
CHUNK = 500
# Calls in flight for each part, so that one that is away leaves connections to the others.
AT_ONCE = 2

WATCHED = ["presence", "unsettled", "alive", "gap"]

Arguments = list[str | int]


class RedisPresence:
    def __init__(self, state: RedisState) -> None:
        self._state = state
        self._turns = [asyncio.Semaphore(AT_ONCE) for _ in range(PARTS)]

    async def record(self, signs: Sequence[Sign], now: int) -> Recorded:
        calls = _chunks(((sign.user, _told(sign)) for sign in signs), [now])
        unsettled: dict[bytes, None] = {}
        began: dict[bytes, None] = {}
        for names, members in await self._everywhere(RECORD, ["presence", "unsettled"], calls):
            unsettled.update(dict.fromkeys(names))
            began.update(dict.fromkeys(members))
        return Recorded(_users(unsettled), [_session(member) for member in began])

    async def watch(self, now: int, longest: Timeouts, most: int) -> Watched:
        call: Arguments = [now, longest.beat_ms, longest.silent_ms, most, f"({first_after(now)}"]
        answers = await self._everywhere(WATCH, WATCHED, {part: [call] for part in range(PARTS)})
        names = [name for _, _, of_part in answers for name in of_part]
        since = max(int(since) for since, _, _ in answers)
        return Watched(_users(names), any(more for _, more, _ in answers), since)

    async def look(self, asked: Sequence[Asked], now: int, longest: Timeouts) -> dict[User, Standing]:
        calls = _chunks(((one.user, _asked(one)) for one in asked), [now, longest.beat_ms])
        answers = await self._everywhere(LOOK, WATCHED, calls)
        return {
            from_name(name.decode()): Standing(bool(online), int(mark), bool(held))
            for held, found in answers
            for name, online, mark in found
        }

    async def clear(self, marks: Mapping[User, int]) -> list[User]:
        calls = _chunks((user, [to_name(user), mark]) for user, mark in marks.items())
        answers = await self._everywhere(CLEAR, ["unsettled"], calls)
        return _users(name for names in answers for name in names)

    async def restore(self, signs: Sequence[Sign], now: int) -> None:
        entries = ((sign, moved(sign, Kind.ABSENT, 0, now)) for sign in signs if sign.kind in RESTORABLE)
        calls = _chunks((sign.user, [to_score(*entry), to_member(sign)]) for sign, entry in entries if entry)
        await self._everywhere(RESTORE, ["presence"], calls)

    async def _everywhere(
        self, script: Script, keys: Sequence[str], calls: Mapping[int, Sequence[Arguments]]
    ) -> list[Any]:
        """What the parts answer; where one is away the others still get what is theirs."""
        runs = (
            self._in_part(script, [f"liveroom:{key}:{{{part:02}}}" for key in keys], part, of_part)
            for part, of_part in calls.items()
        )
        answers: list[Any] = []
        for outcome in await asyncio.gather(*runs, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            answers.extend(outcome)
        return answers

    async def _in_part(self, script: Script, keys: Sequence[str], part: int, calls: Sequence[Arguments]) -> list[Any]:
        answers: list[Any] = []

        async def rest(client: Any) -> None:
            async with self._turns[part]:
                while len(answers) < len(calls):
                    answers.append(await _told_by_hash(client, script, keys, calls[len(answers)]))

        await self._state.run(rest)
        return answers


async def _told_by_hash(client: Any, script: Script, keys: Sequence[str], arguments: Arguments) -> Any:
    try:
        return await client.evalsha(script.hash, len(keys), *keys, *arguments)
    except NoScriptError:
        # A node that is new, or was started again; from now on it knows.
        return await client.eval(script.text, len(keys), *keys, *arguments)


def _chunks(told: Iterable[tuple[User, Arguments]], first: Arguments | None = None) -> dict[int, list[Arguments]]:
    """The arguments of each part's calls, in the order told."""
    parts: dict[int, list[Arguments]] = {}
    for user, arguments in told:
        parts.setdefault(crc32(to_name(user).encode()) % PARTS, []).append(arguments)
    return {
        part: [list(chain(first or [], *told[at : at + CHUNK])) for at in range(0, len(told), CHUNK)]
        for part, told in parts.items()
    }


def _told(sign: Sign) -> Arguments:
    times = sign.timeouts
    return [to_member(sign), int(sign.kind), sign.at, times.beat_ms, times.silent_ms, times.grace_ms]


def _asked(asked: Asked) -> Arguments:
    sessions = [told for sid, beats in asked.sessions for told in (sid, int(beats))]
    return [to_name(asked.user), asked.timeouts.beat_ms, len(asked.sessions), *sessions]


def _users(names: Iterable[bytes]) -> list[User]:
    return [from_name(name.decode()) for name in names]


def _session(member: bytes) -> tuple[str, str]:
    tenant, *_, sid = member.decode().split("/")
    return tenant, sid
