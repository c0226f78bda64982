"""Several things at once, each to its end."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def all_of(wishes: Iterable[Awaitable[T]]) -> list[T]:
    """The outcomes; what one of them raises is raised once all have ended."""
    outcomes = await asyncio.gather(*wishes, return_exceptions=True)
    done = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        done.append(outcome)
    return done
