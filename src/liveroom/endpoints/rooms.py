"""The calls about rooms."""

from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType

from liveroom.endpoints.wire import (
    AppId,
    Category,
    Cover,
    Description,
    Paged,
    Role,
    RoomId,
    Signed,
    Subject,
    Title,
    Utc,
    moment,
    utc,
)
from liveroom.model import Caller, Room, RoomQuery
from liveroom.services.rooms import RoomService, RoomTexts


class GenerateRoomId(Signed, rename="camel"):
    """Set an id aside; it is no room until somebody enters."""

    category: Category | None = None
    title: Title | None = None


class RoomOf(Signed, rename="camel", kw_only=True):
    """A call about one room."""

    room_id: RoomId


class UpdateRoom(Signed, rename="camel", kw_only=True):
    """Change a room's texts, as its owner, and one's own role. A present empty text clears."""

    CLEARABLE: ClassVar = frozenset({"title", "cover", "subject", "description"})

    room_id: RoomId
    category: Category | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    cover: Cover | UnsetType = UNSET
    subject: Subject | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    role: Role | None = None


class QueryRoom(Paged, rename="camel", kw_only=True):
    """Visible rooms, newest first."""

    app_id: AppId
    category: Category | None = None
    room_ids: Annotated[list[RoomId], Meta(max_length=100, description="Only these")] | None = None
    start_utc: Utc | None = None
    end_utc: Utc | None = None
    order_by: Annotated[
        str, Meta(description="`totalJoined`: most joined first; else newest first", examples=["createUtc"])
    ] = ""

    def __post_init__(self) -> None:
        self.since_until()

    def since_until(self) -> tuple[int | None, int | None]:
        """The bounds of the opening, in milliseconds; ValueError when one is no time."""
        return moment(self.start_utc), moment(self.end_utc)


class GeneratedRoomId(Struct, rename="camel"):
    """An id that nothing else had before."""

    room_id: str


class UpdatedRoom(Struct, rename="camel"):
    """The room's texts as they are now."""

    room_id: str
    category: str
    title: str
    subject: str
    cover: str
    description: str


class RoomRow(Struct, rename="camel"):
    """A room in the list. `nnUsers` are inside now, `totalJoined` accounts entered since it opened."""

    room_id: str
    category: str
    title: str
    own_by: str
    cover: str
    subject: str
    description: str
    create_utc: str
    update_utc: str
    nn_users: int
    total_joined: int
    star: int
    status: Annotated[int, Meta(description="0 visible, 1 hidden")]
    removed: int


class RoomDetail(RoomRow, rename="camel"):
    """A room by itself."""

    create_by: str
    update_by: str


class RoomEndpoints:
    """Unpacks the calls about rooms and shapes their answers."""

    def __init__(self, rooms: RoomService) -> None:
        self._rooms = rooms

    async def generate(self, caller: Caller, _: GenerateRoomId) -> GeneratedRoomId:
        return GeneratedRoomId(await self._rooms.generate(caller))

    async def destroy(self, caller: Caller, wish: RoomOf) -> None:
        await self._rooms.destroy(caller, wish.room_id)

    async def update(self, caller: Caller, wish: UpdateRoom) -> UpdatedRoom:
        texts = RoomTexts(wish.category, wish.title, wish.cover, wish.subject, wish.description)
        room = await self._rooms.update(caller, wish.room_id, texts, wish.role)
        return UpdatedRoom(room.room_id, room.category, room.title, room.subject, room.cover, room.description)

    async def detail(self, caller: Caller, wish: RoomOf) -> RoomDetail:
        return room_detail(await self._rooms.detail(caller, wish.room_id))

    async def query(self, caller: Caller, wish: QueryRoom) -> list[RoomRow]:
        since, until = wish.since_until()
        query = RoomQuery(
            tenant=caller.tenant.name,
            category=wish.category,
            room_ids=None if wish.room_ids is None else tuple(wish.room_ids),
            since=since,
            until=until,
            by_joined=wish.order_by == "totalJoined",
            offset=wish.offset,
            limit=wish.most,
        )
        return [room_row(room) for room in await self._rooms.page(query)]


def room_row(room: Room) -> RoomRow:
    """A room as lists show it."""
    return RoomRow(**_row(room))


def room_detail(room: Room) -> RoomDetail:
    """A room by itself."""
    return RoomDetail(**_row(room), create_by=room.created_by, update_by=room.updated_by)


def _row(room: Room) -> dict[str, Any]:
    return {
        "room_id": room.room_id,
        "category": room.category,
        "title": room.title,
        "own_by": room.owned_by,
        "cover": room.cover,
        "subject": room.subject,
        "description": room.description,
        "create_utc": utc(room.opened_at // 1000),
        "update_utc": utc(room.updated_at // 1000),
        "nn_users": room.inside,
        "total_joined": room.joined,
        "star": 0,
        "status": room.state,
        "removed": 0,
    }
