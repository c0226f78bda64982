"""Who was heard last, and when that is too long ago.

Short-lived: the store may be away, come back empty or partly empty, and nothing but a delay follows.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Protocol

from msgspec import Struct

# A moment that no clock reaches: the deadline of a timeout that is switched off.
NEVER = 1 << 43

User = tuple[str, str]


class SignKind(IntEnum):
    """What a session was heard by, or that it is not to be heard again."""

    CALL = 0
    BEAT = 1
    CONNECTED = 2
    DISCONNECTED = 3
    LOGGED_OUT = 4
    NOT_CONNECTED = 5


class Timeouts(Struct, frozen=True):
    """A tenant's times in milliseconds; a silence that never ends is `NEVER`."""

    beat_ms: int = 30_000
    silent_ms: int = 7_200_000
    grace_ms: int = 10_000


class Sign(Struct, frozen=True):
    """One session's sign at a moment (when it happened, not when it became known)."""

    tenant: str
    user_id: str
    sid: str
    kind: SignKind
    at: int
    timeouts: Timeouts

    @property
    def user(self) -> User:
        return (self.tenant, self.user_id)


class Recorded(Struct, frozen=True):
    """What signs changed beyond a deadline: who has to be settled now, and sessions, as
    (tenant, sid), that are now known to beat."""

    unsettled: list[User]
    began_to_beat: list[tuple[str, str]]


class Watched(Struct, frozen=True):
    """What one look at the deadlines found.

    `unsettled`: users who have to be settled by whoever asked. `more`: there may be more of them.
    `since`: when the last gap ended (the store was empty, or nobody had watched for 5 s), in any part of
    the store; from then on everybody has a full timeout.
    """

    unsettled: list[User]
    more: bool
    since: int


class Asked(Struct, frozen=True):
    """A user's live sessions as SQL knows them, as (sid, whether it beats)."""

    user: User
    sessions: Sequence[tuple[str, bool]]
    timeouts: Timeouts


class Standing(Struct, frozen=True):
    """Whether a user is online, and the mark under which it is unsettled (0: it is settled).

    `held`: its part of the store has been empty or unwatched, or was a beat_ms ago; whoever is not online
    there may be so all the same.
    """

    online: bool
    mark: int
    held: bool = False


class PresenceStore(Protocol):
    """Deadlines of sessions, and users who have to be settled.

    A user is *unsettled* while its standing here and the facts in SQL may differ; a mark says so, and
    survives whoever made it. Whoever settles asks `look`, makes the facts true, and calls `clear`.
    A user is online while a session of it has an entry; an entry goes only by `watch`.
    """

    async def record(self, signs: Sequence[Sign], now: int) -> Recorded:
        """Move the deadlines of sessions; a repeated or an older sign changes nothing.

        CALL: silent_ms from the sign, or beat_ms for a session that beats. BEAT: beat_ms, and from now
        on it beats. CONNECTED: as CALL; one for a session without entry counts only if it is not older
        than grace_ms. DISCONNECTED: grace_ms from the sign, for a session that never beat and was
        not heard later than the sign. NOT_CONNECTED: the same, for a session of which a CONNECTED was
        heard: whoever never came near IM is not missed there. LOGGED_OUT: grace_ms from the sign; the
        session hears no other sign, and the user stays online for that time even if SQL no longer names
        the session, or no entry was there; with a grace_ms of NEVER for as long as the session had left.
        A session that had no entry makes its user unsettled (DISCONNECTED and NOT_CONNECTED do nothing).
        """

    async def watch(self, now: int, longest: Timeouts, most: int) -> Watched:
        """Take up to `most` overdue entries out of each part (0: none), and mark their users unsettled.

        Called every second by every process. Takes over users left unsettled for 5 s. After a gap
        nothing is overdue before `since` + beat_ms, nor a session that never beat before `since` +
        silent_ms, of the `longest` timeouts of any tenant.
        """

    async def look(self, asked: Sequence[Asked], now: int, longest: Timeouts) -> dict[User, Standing]:
        """Who is online. An entry that does not beat, of a session that SQL knows to, does from now on."""

    async def clear(self, marks: Mapping[User, int]) -> list[User]:
        """These users are settled; answers those marked anew meanwhile, who have to be settled again."""

    async def restore(self, signs: Sequence[Sign], now: int) -> None:
        """Give sessions without entry the deadline that such a sign would; others stay as they are."""
