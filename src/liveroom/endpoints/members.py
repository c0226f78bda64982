"""The calls about members."""

from typing import Annotated

from msgspec import Meta, Struct

from liveroom.endpoints.wire import AppId, Category, Paged, Role, RoomId, Signed, Title
from liveroom.model import Caller, MemberProfile
from liveroom.services.members import MemberService


class EnterRoom(Signed, rename="camel", kw_only=True):
    """Be inside a room; it opens if it is not open. Title and category count from the owner only."""

    app_id: AppId
    room_id: RoomId | None = None
    role: Role | None = None
    category: Category | None = None
    title: Title | None = None
    type: Annotated[str, Meta(description="Accepted, without effect", examples=["TIMER_ROOM"])] | None = None


class LeaveRoom(Signed, rename="camel", kw_only=True):
    """Be inside no longer; also when one is not."""

    room_id: RoomId


class ListUsers(Paged, rename="camel", kw_only=True):
    """Who is inside a room, in order of entering."""

    room_id: RoomId


class Entered(Struct, rename="camel"):
    """Where one is now, and as what."""

    room_id: str
    role: str


class MemberRow(Struct, rename="camel"):
    """Somebody inside a room."""

    user_id: str
    apaas_user_id: str
    name: str
    avatar: str
    role: str
    online: Annotated[int, Meta(description="1 online, 0 offline")]


class MemberEndpoints:
    """Unpacks the calls about members and shapes their answers."""

    def __init__(self, members: MemberService) -> None:
        self._members = members

    async def enter(self, caller: Caller, wish: EnterRoom) -> Entered:
        texts = {"category": wish.category, "title": wish.title}
        given = {name: text for name, text in texts.items() if text is not None}
        return Entered(*await self._members.enter(caller, wish.room_id, wish.role, given))

    async def leave(self, caller: Caller, wish: LeaveRoom) -> None:
        await self._members.leave(caller, wish.room_id)

    async def list(self, caller: Caller, wish: ListUsers) -> list[MemberRow]:
        members = await self._members.page(caller, wish.room_id, wish.offset, wish.most)
        return [member_row(member) for member in members]


def member_row(member: MemberProfile) -> MemberRow:
    """Somebody inside, as the wire shows it."""
    return MemberRow(member.user_id, member.user_id, member.name, member.avatar, member.role, online=int(member.online))
