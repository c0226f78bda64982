"""Every verb of the store's ports, ready to be called by somebody who has settled in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from contract.nodes import NOON, SALT, Node, drawn, new, query
from liveroom.model import Caller, Session
from liveroom.ports.accounts import Profile

Verb = Callable[[Node, Caller], Awaitable[Any]]


def session(caller: Caller, name: str) -> Session:
    return Session("default", caller.user_id, f"{name}-{caller.user_id}", NOON + 1)


def own(name: str, caller: Caller) -> str:
    """A name that no other caller has."""
    return f"{name}-{caller.user_id}"


WRITES: dict[str, Verb] = {
    "accounts.register": lambda node, who: node.accounts.register(new(own("new", who)), SALT),
    "accounts.vouch": lambda node, who: node.accounts.vouch(new(own("vouched", who)), Profile(name="x")),
    "accounts.update": lambda node, who: node.accounts.update("default", who.user_id, Profile(name="x")),
    "sessions.open": lambda node, who: node.sessions.open(session(who, "s2"), NOON, 20),
    "sessions.prolong": lambda node, who: node.sessions.prolong(session(who, "s1"), NOON),
    "sessions.mark_used": lambda node, who: node.sessions.mark_used([("default", own("s1", who))], NOON + 1),
    "sessions.end": lambda node, who: node.sessions.end("default", who.user_id, own("s1", who)),
    "sessions.prune": lambda node, _: node.sessions.prune(NOON + 10_000),
    "rooms.change": lambda node, who: node.enter(who, own("open", who)),
    "rooms.change on opening": lambda node, who: node.enter(who, own("fresh", who)),
    "rooms.generate": lambda node, who: node.rooms.generate("default", who.user_id, drawn(own("generated", who))),
    "rooms.prune": lambda node, _: node.rooms.prune(),
}
READS: dict[str, Verb] = {
    "accounts.find": lambda node, who: node.accounts.find("default", who.user_id),
    "accounts.find_by_phone": lambda node, who: node.accounts.find_by_phone("default", f"+{who.user_id}"),
    "accounts.credential": lambda node, who: node.accounts.credential("default", who.sid),
    "sessions.standing": lambda node, who: node.sessions.standing("default", who.user_id, own("s1", who)),
    "sessions.ended_since": lambda node, _: node.sessions.ended_since(2**42),
    "rooms.find": lambda node, who: node.rooms.find("default", own("open", who)),
    "rooms.page": lambda node, _: node.rooms.page(query()),
    "rooms.members": lambda node, who: node.rooms.members("default", own("open", who), 0, 10),
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
