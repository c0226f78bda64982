"""Every call below `/base/v1/`: a request that would do, and the code for parameters that do not."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from envelopes import Account, sign_up
from wire import Service

SOME_ROOM = "7654321"


@dataclass(frozen=True)
class Call:
    """`fits` is what the call needs beside userId and token; `bad_parameter` is its code."""

    path: str
    bad_parameter: int
    fits: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"/base/v1/{self.path}"

    @property
    def takes_token(self) -> bool:
        return not self.path.startswith("oauth/")

    @property
    def without_token(self) -> int:
        """The code where userId or token is missing."""
        if self.path == "auth_users/user_logout":
            return 0
        return 204 if self.path.startswith("auth_users/") else self.bad_parameter

    @property
    def bad_token(self) -> int:
        return 0 if self.path == "auth_users/user_logout" else 204

    def parameters(self, account: Account) -> dict[str, object]:
        return {**(account.credentials if self.takes_token else {}), **self.fits}

    def __str__(self) -> str:
        return self.path


CALLS = [
    Call("oauth/register", 210, {"username": "bad-input-registers-nobody", "salt": "5" * 32}),
    Call("oauth/signature", 210, {"username": "bad-input-registers-nobody", "signature": "5" * 32}),
    Call("auth_users/user_login_token", 98),
    Call("auth_users/user_logout", 98),
    Call("auth_users/user_delete", 98),
    Call("auth_users/user_update", 98, {"name": "Nobody"}),
    Call("auth_users/user_query", 208),
    Call("auth_users/user_keepalive", 98),
    Call("rooms/generate_roomid", 2000),
    Call("rooms/enter_room", 2000, {"appId": "0", "roomId": SOME_ROOM}),
    Call("rooms/leave_room", 2003, {"roomId": SOME_ROOM}),
    Call("rooms/destroy_room", 2001, {"roomId": SOME_ROOM}),
    Call("rooms/update_room", 2000, {"roomId": SOME_ROOM, "title": "Nothing"}),
    Call("rooms/room_detail", 2002, {"roomId": SOME_ROOM}),
    Call("rooms/query_room", 2002, {"appId": "0"}),
    Call("rooms/list_users", 2002, {"roomId": SOME_ROOM}),
]
WITH_TOKEN = [call for call in CALLS if call.takes_token]
BY_PATH = {call.path: call for call in CALLS}


@functools.cache
def somebody_at(urls: tuple[str, ...]) -> Account:
    """One account for all requests that must not do anything; a next one finds it as it was."""
    return sign_up(Service(urls))
