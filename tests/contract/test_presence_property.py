"""Whatever is heard and asked, presence in Redis answers as presence in the process does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.conftest import StateServer
from contract.nodes import NOON
from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.ports.presence import NEVER, Asked, PresenceStore, Sign, SignKind, Timeouts

TIMES = [Timeouts(300, 2_000, 100), Timeouts(900, 700, 1_500), Timeouts(NEVER, 2_000, 0), Timeouts(300, NEVER, NEVER)]
# All in one part of the store, so that both take the same ones first.
USERS = [("acme", "1"), ("acme", "11"), ("default", "15")]
SIDS = ["a", "b"]
LATER_MS = st.sampled_from([0, 1, 50, 99, 300, 700, 2_000, 4_999, 5_001])
LONG_AGO = Timeouts(300, 90_000, 100)
MOST = st.sampled_from([1_000, 1_000, 2, 1, 0])

SIGNS = st.tuples(
    st.sampled_from(USERS),
    st.sampled_from(SIDS),
    st.sampled_from(SignKind),
    st.sampled_from([-2_000, -300, -101, -100, -99, -1, 0, 0, 0, 1]),
    st.sampled_from(TIMES),
)
STEPS = st.one_of(
    st.tuples(st.just("record"), LATER_MS, st.lists(SIGNS, max_size=6)),
    st.tuples(st.just("record"), LATER_MS, st.lists(SIGNS, max_size=6)),
    st.tuples(st.just("restore"), LATER_MS, st.lists(SIGNS, max_size=6)),
    st.tuples(st.just("watch"), LATER_MS, st.tuples(st.sampled_from(TIMES[:2]), MOST)),
    st.tuples(st.just("watch"), LATER_MS, st.tuples(st.sampled_from([*TIMES, LONG_AGO]), MOST)),
    st.tuples(
        st.just("look"),
        LATER_MS,
        st.tuples(st.lists(st.sampled_from(SIDS)), st.booleans(), st.sampled_from(TIMES)),
    ),
    st.tuples(st.just("clear"), st.just(0), st.sampled_from([0, 1])),
)


class Both:
    """Two stores that are told the same, and whose answers must be the same."""

    def __init__(self, *stores: PresenceStore) -> None:
        self._stores = stores
        self._marks: dict[tuple[str, str], int] = dict.fromkeys(USERS, 0)
        self.now = NOON

    async def step(self, verb: str, later_ms: int, what: Any) -> None:
        self.now += later_ms
        first, second = [await getattr(self, f"_{verb}")(store, what) for store in self._stores]
        assert first == second

    async def _record(self, store: PresenceStore, told: list[Any]) -> Any:
        recorded = await store.record(self._signs(told), self.now)
        return sorted(recorded.unsettled), sorted(recorded.began_to_beat)

    async def _restore(self, store: PresenceStore, told: list[Any]) -> None:
        await store.restore(self._signs(told), self.now)

    async def _watch(self, store: PresenceStore, what: tuple[Timeouts, int]) -> Any:
        watched = await store.watch(self.now, *what)
        return sorted(watched.unsettled), watched.more, watched.since

    async def _look(self, store: PresenceStore, what: tuple[list[str], bool, Timeouts]) -> Any:
        sids, beats, longest = what
        asked = [Asked(user, [(sid, beats) for sid in sids], times) for user, times in zip(USERS, TIMES, strict=False)]
        standings = await store.look(asked, self.now, longest)
        self._marks = {user: standing.mark for user, standing in standings.items()}
        return standings

    async def _clear(self, store: PresenceStore, off_by: int) -> Any:
        return sorted(await store.clear({user: mark + off_by for user, mark in self._marks.items()}))

    def _signs(self, told: list[Any]) -> list[Sign]:
        return [Sign(*user, sid, kind, self.now + at, times) for user, sid, kind, at, times in told]


@pytest.fixture
def redis_presence(state_server: StateServer, connect_presence: Callable[[str], PresenceStore]) -> PresenceStore:
    return connect_presence(state_server.url)


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=5, max_size=25))
async def test_redis_answers_as_memory_does(
    state_server: StateServer, redis_presence: PresenceStore, steps: list[tuple[str, int, Any]]
) -> None:
    """At the end all timeouts pass, one small step after another."""
    state_server.flush()
    both = Both(MemoryPresence(), redis_presence)
    for step in [*steps, *[("watch", 450, (TIMES[0], 1_000)), ("look", 0, (SIDS, False, TIMES[0]))] * 10]:
        await both.step(*step)
