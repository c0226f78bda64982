"""Every verb of the store's ports, ready to be called by somebody who has settled in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from contract.nodes import NOON, SALT, Node, drawn, new, query
from liveroom.model import Caller, Session
from liveroom.ports.accounts import Profile
from liveroom.ports.errands import Errand, ErrandKind

Verb = Callable[[Node, Caller], Awaitable[Any]]


def session(caller: Caller, name: str) -> Session:
    return Session("default", caller.user_id, f"{name}-{caller.user_id}", NOON + 1)


def own(name: str, caller: Caller) -> str:
    """A name that no other caller has."""
    return f"{name}-{caller.user_id}"


def errand(caller: Caller) -> Errand:
    """One that is there for as long as nobody has done it."""
    return Errand("default", ErrandKind.GROUP, own("open", caller), 99, 0, NOON)


def key(caller: Caller) -> tuple[str, ErrandKind, str]:
    return errand(caller).tenant, errand(caller).kind, errand(caller).subject


WRITES: dict[str, Verb] = {
    "accounts.register": lambda node, who: node.accounts.register(new(own("new", who)), SALT),
    "accounts.vouch": lambda node, who: node.accounts.vouch(new(own("vouched", who)), Profile(name="x")),
    "accounts.update": lambda node, who: node.accounts.update("default", who.user_id, Profile(name="x")),
    "sessions.open": lambda node, who: node.sessions.open(session(who, "s2"), NOON, 20),
    "sessions.prolong": lambda node, who: node.sessions.prolong(session(who, "s1"), NOON),
    "sessions.mark_used": lambda node, who: node.sessions.mark_used([("default", own("s1", who))], NOON + 1),
    "sessions.mark_beating": lambda node, who: node.sessions.mark_beating([("default", own("s1", who))]),
    "sessions.end": lambda node, who: node.sessions.end("default", who.user_id, own("s1", who)),
    "sessions.prune": lambda node, _: node.sessions.prune(NOON + 10_000),
    "rooms.change": lambda node, who: node.enter(who, own("open", who)),
    "rooms.change on opening": lambda node, who: node.enter(who, own("fresh", who)),
    "rooms.generate": lambda node, who: node.rooms.generate("default", who.user_id, drawn(own("generated", who))),
    "rooms.prune": lambda node, _: node.rooms.prune(),
    "errands.add": lambda node, who: node.errands.add(*key(who), NOON),
    "errands.take": lambda node, _: node.errands.take(NOON * 2, NOON * 2, 2),
    "errands.take_one": lambda node, who: node.errands.take_one(*key(who), NOON * 2, NOON * 2),
    "errands.put_off": lambda node, who: node.errands.put_off(errand(who), NOON),
    "errands.done": lambda node, who: node.errands.done(errand(who)),
}
READS: dict[str, Verb] = {
    "accounts.find": lambda node, who: node.accounts.find("default", who.user_id),
    "accounts.find_by_phone": lambda node, who: node.accounts.find_by_phone("default", f"+{who.user_id}"),
    "accounts.credential": lambda node, who: node.accounts.credential("default", who.sid),
    "sessions.standing": lambda node, who: node.sessions.standing("default", who.user_id, own("s1", who)),
    "sessions.ended_since": lambda node, _: node.sessions.ended_since(2**42),
    "sessions.of_users": lambda node, who: node.sessions.of_users([("default", who.user_id)]),
    "rooms.find": lambda node, who: node.rooms.find("default", own("open", who)),
    "rooms.page": lambda node, _: node.rooms.page(query()),
    "rooms.members": lambda node, who: node.rooms.members("default", own("open", who), 0, 10),
    "absence.inside": lambda node, who: node.absence.inside([("default", who.user_id)]),
    "absence.due_to_leave": lambda node, _: node.absence.due_to_leave(["default"], NOON, 10),
    "absence.due_to_close": lambda node, _: node.absence.due_to_close(["default"], NOON, 10),
    "absence.inside_after": lambda node, who: node.absence.inside_after(("default", who.user_id), 10),
    "absence.entered_until": lambda node, who: node.absence.entered_until(
        "default", own("open", who), NOON * 2, 10, ""
    ),
    "absence.open_after": lambda node, who: node.absence.open_after(("default", own("open", who)), 10),
    "errands.waiting": lambda node, who: node.errands.waiting(*key(who)),
    "ping": lambda node, _: node.database.ping(),
}


async def settle(node: Node, name: str = "ann") -> Caller:
    """An account with a session, an open room and a closed one; the connections of its node are warm."""
    caller = await node.caller(name)
    await node.sessions.open(session(caller, "s1"), NOON, 20)
    for room in ("over", "open"):
        await node.enter(caller, own(room, caller))
    await node.destroy(caller, own("over", caller))
    for verb in READS.values():
        await verb(node, caller)
    return caller
