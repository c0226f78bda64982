"""Apps that die, come back or log out, as everybody else sees it: on every process, with short timeouts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from envelopes import Account, ask, code_of, data_of, detail, keepalive_code, sign_in, sign_up
from wire import Service, Topology, compact, now_ms, pairs, soon

from servers import MariaDB, Redis
from service import embedded, two_processes

IM_TOKEN = "a-token-of-the-im-console"
TRTC_KEY = "KeyOfTheTrtcConsole"
TOML = f"""
[tenants.default]
im_callback_token = "{IM_TOKEN}"
trtc_callback_key = "{TRTC_KEY}"
presence = {{ beat_timeout_s = 2, grace_s = 3 }}

[tenants.default.categories.brief]
evict_after_s = 1
close_after_s = 2
"""
# Deadline, watch and sweep, each up to a second late, on a machine that does other things too.
WITHIN_S = 12


@pytest.fixture(scope="module", params=["embedded", "two-processes"])
def quick(request: pytest.FixtureRequest) -> Iterator[Topology]:
    """The deployments of `topology`, with timeouts of a second or two."""
    if request.param == "embedded":
        with embedded(toml=TOML) as deployment:
            yield deployment
        return
    with MariaDB() as mariadb, Redis() as redis, two_processes(mariadb, redis, toml=TOML) as deployment:
        yield deployment


@pytest.fixture
def service(quick: Topology) -> Service:
    return Service.on(quick)


def beat(service: Service, *accounts: Account) -> None:
    for account in accounts:
        assert keepalive_code(service, account.user_id, account.token) == 0


def enter(service: Service, account: Account, room_id: str, role: str, **texts: str) -> None:
    assert (
        code_of(service, "rooms/enter_room", **account.credentials, appId="0", roomId=room_id, role=role, **texts) == 0
    )


def seats(service: Service, asker: Account, room_id: str) -> dict[str, int]:
    """Who is inside, and whether online; the same as the room's own count says."""
    rows = data_of(service, "rooms/list_users", **asker.credentials, roomId=room_id, limit=100)
    return {row["userId"]: row["online"] for row in rows}


def listed(service: Service, asker: Account, room_id: str) -> bool:
    rows = data_of(service, "rooms/query_room", **asker.credentials, appId="0", roomIds=[room_id])
    return [row["roomId"] for row in rows] == [room_id]


def status(service: Service, asker: Account, room_id: str) -> int | None:
    """0 visible, 1 hidden, None closed; the list of rooms has to say the same."""
    body = ask(service, "rooms/room_detail", **asker.credentials, roomId=room_id)
    assert body["errorCode"] in (0, 2004)
    return None if body["errorCode"] else int(body["data"]["status"])


def everywhere(service: Service, holds: Callable[[Service], bool]) -> bool:
    return all(holds(process) for process in service.each())


def wait(service: Service, holds: Callable[[Service], bool], *beating: Account) -> None:
    """Until every process says so, while these keep beating."""

    def so() -> bool:
        beat(service, *beating)
        return everywhere(service, holds)

    soon(so, WITHIN_S)


def stays(service: Service, holds: Callable[[Service], bool], for_s: float, *beating: Account) -> None:
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        beat(service, *beating)
        assert everywhere(service, holds)
        time.sleep(0.05)


def callback(service: Service, process: Service, what: str, query: str, body: Any, **headers: str) -> None:
    reply = process.send("POST", f"/release/base/v1/callbacks/{what}?{query}", compact(body).encode(), headers)
    assert reply.status == 200, reply.body
    assert reply.json() in ({"code": 0}, {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0})


def im(service: Service, account: Account, command: str, **body: Any) -> None:
    """An IM callback to one of the processes, and once more to each, since the vendor may repeat it."""
    for process in [*service.each(), service]:
        moment = str(int(time.time()))
        proof = hashlib.sha256(f"{IM_TOKEN}{moment}".encode()).hexdigest()
        query = {"SdkAppid": account.sdk_app_id, "CallbackCommand": command, "RequestTime": moment, "Sign": proof}
        callback(service, process, "im", pairs(query, ""), {"CallbackCommand": command, **body})


def trtc(service: Service, account: Account, kind: int, **info: Any) -> None:
    body = {"EventGroupId": 1, "EventType": kind, "CallbackTs": int(now_ms()), "EventInfo": info}
    proof = base64.b64encode(hmac.new(TRTC_KEY.encode(), compact(body).encode(), hashlib.sha256).digest()).decode()
    for process in service.each():
        callback(service, process, "trtc", "", body, Sign=proof, SdkAppId=str(account.sdk_app_id))


def test_the_owners_app_dies(service: Service) -> None:
    """Its room is hidden at once; whoever comes back finds it as it was, else it is closed."""
    viewer, patient, lost = (sign_up(service) for _ in range(3))
    rooms = (patient.user_id, lost.user_id)
    for owner, texts in ((patient, {"title": "Patience"}), (lost, {"title": "Lost", "category": "brief"})):
        enter(service, owner, owner.user_id, "anchor", **texts)
        enter(service, viewer, owner.user_id, "audience")
        beat(service, owner)
    assert everywhere(service, lambda at: all(listed(at, viewer, room) for room in rooms))

    # Both die.
    wait(service, lambda at: all(status(at, viewer, room) == 1 for room in rooms))
    assert not any(listed(at, viewer, room) for room in rooms for at in service.each())
    for room in rooms:
        assert seats(service, viewer, room) == {room: 0, viewer.user_id: 1}
        row = detail(service, viewer, room)
        assert (row["nnUsers"], row["totalJoined"]) == (2, 2)

    beat(service, patient)
    wait(service, lambda at: status(at, viewer, rooms[0]) == 0 and listed(at, viewer, rooms[0]), patient)
    assert seats(service, viewer, rooms[0]) == {patient.user_id: 1, viewer.user_id: 1}
    assert detail(service, viewer, rooms[0])["title"] == "Patience"

    wait(service, lambda at: status(at, viewer, rooms[1]) is None, patient)
    assert status(service, viewer, rooms[0]) == 0, "the other one is none of its business"
    enter(service, lost, lost.user_id, "anchor")
    row = detail(service, viewer, rooms[1])
    assert (row["nnUsers"], row["totalJoined"], row["title"], row["status"]) == (1, 1, "", 0)


def test_audience_dies(service: Service) -> None:
    """Offline first, then out; the counts are exact all the way, and who stayed or never beat is still there."""
    owner, *audience = [sign_up(service) for _ in range(12)]
    room = owner.user_id
    enter(service, owner, room, "anchor", category="brief")
    for viewer in audience:
        enter(service, viewer, room, "audience")
    dying, beating = audience[:6], audience[6:9]
    beat(service, owner, *dying, *beating)
    names = [account.user_id for account in (owner, *audience)]
    gone = {account.user_id for account in dying}
    assert seats(service, owner, room) == dict.fromkeys(names, 1)
    seen = set()

    def only_the_others(at: Service) -> bool:
        inside = seats(at, owner, room)
        seen.add(len(inside))
        assert all(inside[name] for name in inside if name not in gone)
        return list(inside) == [name for name in names if name not in gone]

    wait(service, only_the_others, owner, *beating)
    assert seen <= set(range(6, 13))
    for process in service.each():
        row = detail(process, owner, room)
        assert (row["nnUsers"], row["totalJoined"], row["status"]) == (6, 12, 0)
    assert {ask(service, "rooms/leave_room", **viewer.credentials, roomId=room)["errorCode"] for viewer in dying} == {0}
    assert detail(service, owner, room)["nnUsers"] == 6
    enter(service, dying[0], room, "audience")
    assert detail(service, owner, room)["totalJoined"] == 12


def test_logging_out_and_in_again(service: Service) -> None:
    """Within the grace nobody notices; whoever stays away is gone after it."""
    viewer, quiet, beating, leaver = (sign_up(service) for _ in range(4))
    owners = (quiet, beating, leaver)
    for owner in owners:
        enter(service, owner, owner.user_id, "anchor")
        enter(service, viewer, owner.user_id, "audience")
    beat(service, beating)
    for owner in owners:
        assert code_of(service, "auth_users/user_logout", **owner.credentials) == 0
    again = [sign_in(service, owner.username, owner.salt) for owner in (quiet, beating)]

    def unnoticed(at: Service) -> bool:
        return all(status(at, viewer, owner.user_id) == 0 and listed(at, viewer, owner.user_id) for owner in again)

    def one_is_gone(at: Service) -> bool:
        assert unnoticed(at)
        return status(at, viewer, leaver.user_id) == 1

    wait(service, one_is_gone)
    stays(service, unnoticed, 0.5)
    for owner in again:
        assert seats(service, viewer, owner.user_id) == {owner.user_id: 1, viewer.user_id: 1}
        assert detail(service, viewer, owner.user_id)["totalJoined"] == 2


def test_callbacks(service: Service) -> None:
    """What the vendor saw, told to whichever process it reaches, and told again to the other."""
    asker, owner, viewer, other = (sign_up(service) for _ in range(4))
    room = owner.user_id
    for account in (owner, asker, viewer, other):
        enter(service, account, room, "anchor" if account is owner else "audience")
    silent = {"Action": "Disconnect", "To_Account": room, "Reason": "TimeOut"}
    told = {"EventTime": int(now_ms()), "Info": silent}

    def hidden(at: Service) -> bool:
        im(service, asker, "State.StateChange", **told)
        return status(at, asker, room) == 1

    wait(service, hidden)
    assert seats(service, asker, room)[room] == 0
    at = int(now_ms())
    entered = {"RoomId": int(room), "EventTs": at // 1000, "EventMsTs": at, "UserId": room, "Role": 20}
    trtc(service, asker, 103, **entered, TerminalType=3, UserType=3, Reason=2)
    wait(service, lambda at: status(at, asker, room) == 0)

    at = int(now_ms())
    left = {"RoomId": int(room), "EventTs": at // 1000, "EventMsTs": at, "UserId": viewer.user_id, "Role": 21}
    trtc(service, asker, 104, **left, Reason=2)
    members = [{"Member_Account": other.user_id}]
    gone = {"GroupId": room, "Type": "AVChatRoom", "ExitType": "Quit", "ExitMemberList": members, "EventTime": str(at)}
    im(service, asker, "Group.CallbackAfterMemberExit", **gone)
    for process in service.each():
        row = detail(process, asker, room)
        assert (row["nnUsers"], row["totalJoined"], row["status"]) == (2, 4, 0)
    enter(service, other, room, "audience")
    im(service, asker, "Group.CallbackAfterMemberExit", **gone)
    trtc(service, asker, 102, RoomId=room, EventTs=at // 1000, EventMsTs=at)
    assert list(seats(service, asker, room)) == [room, other.user_id]
