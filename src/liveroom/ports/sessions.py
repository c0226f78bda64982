"""Logins."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from liveroom.model import Session, SessionStanding


class SessionStore(Protocol):
    """Logins. SQL is the truth about them."""

    async def open(
        self, session: Session, now: int, most: int, used: Mapping[tuple[str, str], int] | None = None
    ) -> bool:
        """Record a session; beyond `most` of its account the least recently used end. False: no account.

        `used` is when sessions, as (tenant, sid), were used, as far as that is not marked yet.
        """

    async def prolong(self, session: Session, now: int) -> SessionStanding:
        """Move a live session's `expires_at` and mark it used."""

    async def mark_used(self, sessions: Sequence[tuple[str, str]], now: int) -> None:
        """These sessions, as (tenant, sid), were used."""

    async def standing(self, tenant: str, user_id: str, sid: str) -> SessionStanding:
        """Whether the session is live, as of a read that began after this call."""

    async def end(self, tenant: str, user_id: str, sid: str) -> None:
        """End a session for good; repeated calls change nothing."""

    async def ended_since(self, cursor: int) -> tuple[list[tuple[str, str]], int]:
        """Sessions, as (tenant, sid), that ended at `cursor` or later, and the next cursor.

        Complete for whatever committed before the read began; the same one may be told again.
        Cursor 0 tells nothing and answers where to begin.
        """

    async def of_users(self, users: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[tuple[str, bool]]]:
        """The sessions that have not ended of each user, as (sid, whether it ever beat)."""

    async def mark_beating(self, sessions: Sequence[tuple[str, str]]) -> None:
        """These sessions, as (tenant, sid), send keepalives."""

    async def prune(self, now: int) -> int:
        """Delete expired sessions and old endings, in small steps. Answers how many rows went."""
