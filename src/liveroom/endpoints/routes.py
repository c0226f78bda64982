"""The URL table: path, request struct, who answers, who may call."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

from msgspec import Struct

from liveroom.endpoints.accounts import (
    AccountEndpoints,
    LoginData,
    QueryUser,
    Register,
    Registered,
    SignIn,
    UpdateUser,
    UserData,
)
from liveroom.endpoints.members import Entered, EnterRoom, LeaveRoom, ListUsers, MemberEndpoints, MemberRow
from liveroom.endpoints.presence import Kept, PresenceEndpoints
from liveroom.endpoints.rooms import (
    GeneratedRoomId,
    GenerateRoomId,
    QueryRoom,
    RoomDetail,
    RoomEndpoints,
    RoomOf,
    RoomRow,
    UpdatedRoom,
    UpdateRoom,
)
from liveroom.endpoints.stream import FollowRooms, StreamEndpoints
from liveroom.endpoints.wire import Signed
from liveroom.errors import Code

PREFIX = "/base/v1/"


class Who(StrEnum):
    """Who may call, and what a call without userId or token is told."""

    ANYBODY = "anybody"
    ACCOUNT = "an account; without userId or token 204"
    VISITOR = "an account; without userId or token the parameter code"


class Route(Struct, frozen=True):
    """One call. `code` refuses its parameters, `refuses` are the rules' refusals, `done` says success.

    `gone_is_done`: an account that is no more counts as success. `resumes`: success is a stream, which
    goes on after the header Last-Event-ID.
    """

    path: str
    params: type[Struct]
    answer: Callable[..., Awaitable[Any]]
    who: Who
    code: Code
    done: str
    data: Any = None
    refuses: tuple[Code, ...] = ()
    gone_is_done: bool = False
    resumes: bool = False


class Endpoints(Struct, frozen=True):
    """Those who answer."""

    accounts: AccountEndpoints
    presence: PresenceEndpoints
    rooms: RoomEndpoints
    members: MemberEndpoints
    streams: StreamEndpoints


def routes(to: Endpoints) -> list[Route]:
    """Every call of the contract."""
    return [*_of_accounts(to.accounts, to.presence), *_of_rooms(to.rooms, to.members, to.streams)]


# fmt: off
def _of_accounts(account: AccountEndpoints, presence: PresenceEndpoints) -> list[Route]:
    anybody, holder = Who.ANYBODY, Who.ACCOUNT
    verify, params, search = Code.SystemVerifyError, Code.UserOAuthParams, Code.UserQueryParams
    empty, limit = Code.UseInfoEmpty, Code.UserQueryLimit
    here = "auth_users/"
    return [
        Route("oauth/register", Register, account.register, anybody, params, "register ok", Registered, (verify,)),
        Route("oauth/signature", SignIn, account.signature, anybody, params, "signature ok", LoginData, (verify,)),
        Route(here + "user_login_token", Signed, account.login_token, holder, verify, "login done", LoginData),
        Route(here + "user_logout", Signed, account.logout, anybody, verify, "user logout ok"),
        Route(here + "user_delete", Signed, account.delete, holder, verify, "user delete ok", gone_is_done=True),
        Route(here + "user_update", UpdateUser, account.update, holder, verify, "update ok", refuses=(empty,)),
        Route(here + "user_query", QueryUser, account.query, holder, search, "query done", UserData, (limit,)),
        Route(here + "user_keepalive", Signed, presence.keepalive, holder, verify, "keep alive done", Kept),
    ]


def _of_rooms(room: RoomEndpoints, member: MemberEndpoints, stream: StreamEndpoints) -> list[Route]:
    visitor = Who.VISITOR
    make, end, ask, leave = Code.RoomCreateParams, Code.RoomDestroyParams, Code.RoomQueryParams, Code.RoomLeaveParams
    verify, limit, gone = Code.SystemVerifyError, Code.UserQueryLimit, Code.RoomNotExists
    entry = (gone, limit, Code.UserAlreadyInRooms, Code.RoomsUserExists)
    return [
        Route("rooms/generate_roomid", GenerateRoomId, room.generate, visitor, make, "", GeneratedRoomId, (limit,)),
        Route("rooms/enter_room", EnterRoom, member.enter, visitor, make, "", Entered, entry),
        Route("rooms/leave_room", LeaveRoom, member.leave, visitor, leave, ""),
        Route("rooms/destroy_room", RoomOf, room.destroy, visitor, end, "", refuses=(verify,)),
        Route("rooms/update_room", UpdateRoom, room.update, visitor, make, "", UpdatedRoom, (gone, verify)),
        Route("rooms/room_detail", RoomOf, room.detail, visitor, ask, "", RoomDetail, (gone,)),
        Route("rooms/query_room", QueryRoom, room.query, visitor, ask, "", list[RoomRow]),
        Route("rooms/list_users", ListUsers, member.list, visitor, ask, "", list[MemberRow], (gone,)),
        Route("rooms/stream", FollowRooms, stream.follow, visitor, ask, "", refuses=(gone,), resumes=True),
    ]
# fmt: on
