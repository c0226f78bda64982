"""The store while its database is away, and when it is back: every verb answers within 5 s, with a code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from contract.conftest import StoreBackEnd
from contract.exact import assert_exact
from contract.nodes import DEFAULT, Node, codes
from contract.verbs import READS, WRITES, own, settle
from liveroom.errors import Code, Refusal
from liveroom.model import Caller

LIMIT_S = 5.0
# What a busy machine may add to it.
SLACK_S = 0.5


@pytest.fixture
async def ann(node: Node) -> Caller:
    """Somebody whose process has been at work."""
    return await settle(node)


async def timed(wish: Awaitable[Any]) -> tuple[float, Any]:
    """How long it took, and its outcome or error; whatever answers never is cut off."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(LIMIT_S + 2 * SLACK_S):
            outcome = await wish
    except Exception as error:
        outcome = error
    return time.monotonic() - started, outcome


def refused(outcome: Any) -> bool:
    return isinstance(outcome, Refusal) and outcome.code == Code.ServiceDBFailed


def is_error(outcome: Any) -> bool:
    return isinstance(outcome, BaseException)


async def test_an_outage_is_told_in_time_and_then_forgotten(
    store: StoreBackEnd, node: Node, other: Node, ann: Caller
) -> None:
    """Every verb by itself, and a queue that is longer than a few batches; then everything again."""
    verbs = WRITES | READS
    async with store.away():
        queue = [timed(other.enter(ann, own("open", ann))) for _ in range(1_000)]
        answers = await asyncio.gather(*(timed(verb(node, ann)) for verb in verbs.values()), *queue)
    afterwards = {name: (await timed(verb(node, ann)))[1] for name, verb in verbs.items()}

    named = dict(zip([*verbs, *(f"queued {turn}" for turn in range(1_000))], answers, strict=True))
    allowed = READS if store.reads_while_away else {}
    late = {name: f"{took_s:.1f} s" for name, (took_s, _) in named.items() if took_s > LIMIT_S + SLACK_S}
    told = {name: outcome for name, (_, outcome) in named.items() if not refused(outcome) and name not in late}
    wrong = {name: repr(outcome) for name, outcome in told.items() if name not in allowed or is_error(outcome)}
    still = {name: repr(outcome) for name, outcome in afterwards.items() if is_error(outcome)}
    assert (late, wrong, still) == ({}, {}, {})
    await assert_exact(node, DEFAULT)


async def test_a_restart_of_the_database_is_not_noticed_afterwards(
    store: StoreBackEnd, node: Node, ann: Caller
) -> None:
    """Every pooled connection is dead by then; nobody is told so."""
    await asyncio.gather(*(node.accounts.find_by_phone("default", str(turn)) for turn in range(8)))
    for verbs in (READS, WRITES):
        for name, verb in verbs.items():
            await store.restart() if name in {"accounts.find", "accounts.register", "rooms.change"} else None
            assert codes([(await timed(verb(node, ann)))[1]]) == [0], name
    await assert_exact(node, DEFAULT)


async def test_a_crowd_over_a_restart_is_told_the_truth(store: StoreBackEnd, node: Node, other: Node) -> None:
    """Each change is there whole or not at all, and whoever was told of success is inside."""
    users = await node.callers(20)
    outcomes: dict[str, list[Any]] = {user.user_id: [] for user in users}

    async def keep_entering(user: Caller) -> None:
        for turn in range(15):
            outcomes[user.user_id].append((await timed(node.enter(user, f"r{turn}")))[1])

    crowd = asyncio.gather(*map(keep_entering, users))
    await asyncio.sleep(0.05)
    await store.restart()
    await crowd
    for turn in range(15):
        inside = set(await other.inside(f"r{turn}") or [])
        told = {user_id for user_id, answers in outcomes.items() if not isinstance(answers[turn], Exception)}
        assert told <= inside
    assert all(refused(answer) or answer == "" for answers in outcomes.values() for answer in answers)
    await assert_exact(other, DEFAULT)
