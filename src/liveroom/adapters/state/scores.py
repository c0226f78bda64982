"""How a session stands, as one number, and what a sign makes of it: one table for every back end."""

from enum import IntEnum, StrEnum

from msgspec import Struct

from liveroom.ports.presence import NEVER, Sign, SignKind, User

# Longer than this nobody watched: whoever was not heard meanwhile may have been there.
UNWATCHED_MS = 5_000
# Longer than this a user is unsettled: whoever was to settle it did not.
STALE_MS = 5_000
# After a gap an overdue session that never beat is asked about again after so long: moved further at
# once it would pass for one that was heard in the future.
SPARED_MS = 60_000
# A watch spares at most this many times as many as it may take, so that it comes to its end.
SPARED = 5

# The session that stands for those that logged out, while their user stays online for a grace.
LEFT = "~"


class Kind(IntEnum):
    """What an entry is; its number is the lowest three bits of the score."""

    SILENT = 0
    BEATING = 1
    CONNECTED = 2
    DISCONNECTED = 3
    ENDED = 4
    ABSENT = 5


QUIET = (Kind.SILENT, Kind.CONNECTED)
RESTORABLE = (SignKind.CALL, SignKind.BEAT)


class Rule(StrEnum):
    """When a sign counts, and from when its timeout runs (else: from the sign)."""

    ALWAYS = "always"
    # The deadline only moves away.
    FORWARD = "forward"
    # From the last sign known; that of a quiet session is its deadline less its timeout.
    LATEST = "latest"
    # Only if it is newer than the disconnect.
    RETURNED = "returned"
    # Only if the session was not heard later.
    GONE = "gone"
    # Only if it is not older than a grace.
    FRESH = "fresh"


class Move(Struct, frozen=True):
    """What an entry becomes, for how long."""

    kind: Kind
    timeout: str
    rule: Rule


_SILENT, _BEATING, _CONNECTED, _DISCONNECTED, _ENDED, _ABSENT = Kind
_BEAT, _SILENCE, _GRACE = "beat_ms", "silent_ms", "grace_ms"

# By sign and by what the entry was; where there is no line nothing happens.
MOVES: dict[tuple[SignKind, Kind], Move] = {
    (SignKind.CALL, _ABSENT): Move(_SILENT, _SILENCE, Rule.ALWAYS),
    (SignKind.CALL, _SILENT): Move(_SILENT, _SILENCE, Rule.FORWARD),
    (SignKind.CALL, _CONNECTED): Move(_CONNECTED, _SILENCE, Rule.FORWARD),
    (SignKind.CALL, _BEATING): Move(_BEATING, _BEAT, Rule.FORWARD),
    (SignKind.CALL, _DISCONNECTED): Move(_SILENT, _SILENCE, Rule.RETURNED),
    (SignKind.BEAT, _ABSENT): Move(_BEATING, _BEAT, Rule.ALWAYS),
    (SignKind.BEAT, _SILENT): Move(_BEATING, _BEAT, Rule.LATEST),
    (SignKind.BEAT, _CONNECTED): Move(_BEATING, _BEAT, Rule.LATEST),
    (SignKind.BEAT, _BEATING): Move(_BEATING, _BEAT, Rule.FORWARD),
    (SignKind.BEAT, _DISCONNECTED): Move(_BEATING, _BEAT, Rule.ALWAYS),
    (SignKind.CONNECTED, _ABSENT): Move(_CONNECTED, _SILENCE, Rule.FRESH),
    (SignKind.CONNECTED, _SILENT): Move(_CONNECTED, _SILENCE, Rule.FORWARD),
    (SignKind.CONNECTED, _CONNECTED): Move(_CONNECTED, _SILENCE, Rule.FORWARD),
    (SignKind.CONNECTED, _BEATING): Move(_BEATING, _BEAT, Rule.FORWARD),
    (SignKind.CONNECTED, _DISCONNECTED): Move(_CONNECTED, _SILENCE, Rule.RETURNED),
    (SignKind.DISCONNECTED, _SILENT): Move(_DISCONNECTED, _GRACE, Rule.GONE),
    (SignKind.DISCONNECTED, _CONNECTED): Move(_DISCONNECTED, _GRACE, Rule.GONE),
    (SignKind.DISCONNECTED, _DISCONNECTED): Move(_DISCONNECTED, _GRACE, Rule.FORWARD),
    # It is asked again and again: a session that fell silent by it does not start anew.
    (SignKind.NOT_CONNECTED, _CONNECTED): Move(_DISCONNECTED, _GRACE, Rule.GONE),
    # A sign that another process has gathered and not told yet must not count any more.
    (SignKind.LOGGED_OUT, _ABSENT): Move(_ENDED, _GRACE, Rule.ALWAYS),
    (SignKind.LOGGED_OUT, _SILENT): Move(_ENDED, _GRACE, Rule.ALWAYS),
    (SignKind.LOGGED_OUT, _CONNECTED): Move(_ENDED, _GRACE, Rule.ALWAYS),
    (SignKind.LOGGED_OUT, _BEATING): Move(_ENDED, _GRACE, Rule.ALWAYS),
    (SignKind.LOGGED_OUT, _DISCONNECTED): Move(_ENDED, _GRACE, Rule.ALWAYS),
}


def moved(sign: Sign, kind: Kind, deadline: int, now: int) -> tuple[Kind, int] | None:
    """The entry after a sign; None where it stays as it is."""
    move = MOVES.get((sign.kind, kind))
    if move is None:
        return None
    if move.timeout == _GRACE and sign.timeouts.grace_ms >= NEVER:
        # Without a grace nobody is offline the sooner for having gone.
        return (move.kind, deadline) if move.kind is Kind.ENDED and kind is not Kind.ABSENT else None
    at, rule = sign.at, move.rule
    heard_at, gone_at = deadline - sign.timeouts.silent_ms, deadline - sign.timeouts.grace_ms
    if (
        (rule is Rule.RETURNED and at <= gone_at)
        or (rule is Rule.GONE and at < heard_at)
        or (rule is Rule.FRESH and at < now - sign.timeouts.grace_ms)
    ):
        return None
    if rule is Rule.LATEST:
        at = max(at, min(now, heard_at))
    to: int = min(at + getattr(sign.timeouts, move.timeout), NEVER)
    if rule is Rule.FORWARD:
        to = max(to, deadline)
    return None if (move.kind, to) == (kind, deadline) else (move.kind, to)


def to_score(kind: Kind, deadline: int) -> int:
    return min(deadline, NEVER) * 8 + kind


def from_score(score: int) -> tuple[Kind, int]:
    return Kind(score % 8), score // 8


def first_after(now: int) -> int:
    """The least score that is not overdue."""
    return (now + 1) * 8


def to_member(sign: Sign) -> str:
    return f"{sign.tenant}/{sign.user_id}/{sign.sid}"


def to_name(user: User) -> str:
    return "/".join(user)


def from_name(name: str) -> User:
    tenant, _, user_id = name.partition("/")
    return tenant, user_id
