"""The simulator of the IM REST API: what it asks of a call, what it answers, and the webhooks it sends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from contract.messaging import APP_ID, NOON_S, SECRET, SPECS, ImSimulator
from liveroom.services import usersig
from liveroom.simulator.cloud import AppSpec
from liveroom.simulator.site import Given, Simulator
from liveroom.simulator.webhooks import signature
from servers import wait_until
from service import PROGRAM, clean_env

LIVE = {"Type": "AVChatRoom", "GroupId": "live", "Name": "live"}
PUBLIC = {"Type": "Public", "GroupId": "public", "Name": "public"}
MESSAGE = {"GroupId": "live", "Random": 7, "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}]}
Called = Callable[..., Any]
# Command, request, expected ErrorCode; one after another.
STEPS: list[tuple[str, Any, int]] = [
    ("im_open_login_svc/account_import", {"UserID": "u1", "Nick": "Ann"}, 0),
    ("im_open_login_svc/account_import", {"Identifier": "u2"}, 0),
    ("im_open_login_svc/account_import", {}, 70402),
    ("im_open_login_svc/account_import", {"UserID": "u" * 33}, 70402),
    ("im_open_login_svc/account_import", {"UserID": 7}, 60015),
    ("im_open_login_svc/account_import", {"UserID": "u3", "Nick": "n" * 501}, 40601),
    ("im_open_login_svc/kick", {"UserID": "u1"}, 0),
    ("im_open_login_svc/kick", {"UserID": "nobody"}, 70107),
    ("profile/portrait_set", {"From_Account": "u1", "ProfileItem": [{"Tag": "Tag_Profile_IM_Nick", "Value": "A"}]}, 0),
    ("profile/portrait_set", {"From_Account": "nobody", "ProfileItem": []}, 40003),
    ("profile/portrait_set", {"From_Account": "u1", "ProfileItem": [{"Tag": "Nick", "Value": "A"}]}, 40008),
    ("openim/query_online_status", {"To_Account": ["u1"]}, 0),
    ("openim/querystate", {"To_Account": ["u1"]}, 0),
    ("openim/query_online_status", {"To_Account": ["nobody"]}, 70107),
    ("openim/query_online_status", {"To_Account": ["u1"] * 501}, 90011),
    ("group_open_http_svc/create_group", LIVE, 0),
    ("group_open_http_svc/create_group", LIVE, 10021),
    ("group_open_http_svc/create_group", PUBLIC | {"Owner_Account": "administrator"}, 0),
    ("group_open_http_svc/create_group", PUBLIC, 10025),
    ("group_open_http_svc/create_group", {"Type": "AVChatRoom", "Name": "g"}, 0),
    ("group_open_http_svc/create_group", LIVE | {"GroupId": "other", "MemberList": [{"Member_Account": "u1"}]}, 10007),
    ("group_open_http_svc/create_group", LIVE | {"GroupId": "other", "Owner_Account": "nobody"}, 10004),
    ("group_open_http_svc/create_group", LIVE | {"GroupId": "other", "Name": "n" * 31}, 10004),
    ("group_open_http_svc/create_group", LIVE | {"GroupId": "g" * 49}, 10004),
    ("group_open_http_svc/create_group", LIVE | {"GroupId": "@TGS#mine"}, 10004),
    ("group_open_http_svc/create_group", LIVE | {"GroupId": "房间"}, 10004),
    ("group_open_http_svc/create_group", {"Type": "Live", "Name": "g"}, 10004),
    ("group_open_http_svc/modify_group_base_info", {"GroupId": "live", "Introduction": "all of it"}, 0),
    ("group_open_http_svc/modify_group_base_info", {"GroupId": "none"}, 10010),
    ("group_open_http_svc/add_group_member", {"GroupId": "live", "MemberList": [{"Member_Account": "u1"}]}, 10007),
    ("group_open_http_svc/add_group_member", {"GroupId": "public", "MemberList": [{"Member_Account": "u1"}]}, 0),
    ("group_open_http_svc/delete_group_member", {"GroupId": "live", "MemberToDel_Account": ["u1"]}, 10004),
    ("group_open_http_svc/delete_group_member", {"GroupId": "public", "MemberToDel_Account": ["u2"]}, 0),
    ("group_open_http_svc/change_group_owner", {"GroupId": "live", "NewOwner_Account": "u1"}, 10007),
    ("group_open_http_svc/change_group_owner", {"GroupId": "public", "NewOwner_Account": "u1"}, 0),
    ("group_open_http_svc/send_group_msg", MESSAGE, 0),
    ("group_open_http_svc/send_group_msg", MESSAGE | {"From_Account": "nobody"}, 10019),
    ("group_open_http_svc/send_group_msg", {"MsgRandom": 7} | {**MESSAGE, "Random": None}, 10004),
    ("group_open_http_svc/send_group_msg", MESSAGE | {"MsgBody": ["x" * 12_288]}, 80002),
    ("group_open_http_svc/send_group_system_notification", {"GroupId": "live", "Content": "hi"}, 0),
    (
        "group_open_http_svc/send_group_system_notification",
        {"GroupId": "live", "Content": "hi", "ToMembers_Account": ["u1"]},
        10004,
    ),
    ("group_open_http_svc/get_online_member_num", {"GroupId": "live"}, 0),
    ("group_open_http_svc/get_online_member_num", {"GroupId": "public"}, 10007),
    ("group_open_http_svc/get_group_info", {"GroupIdList": []}, 10004),
    ("group_open_http_svc/destroy_group", {"GroupId": "live"}, 0),
    ("group_open_http_svc/destroy_group", {"GroupId": "live"}, 10010),
    ("group_open_http_svc/nothing", {}, 60009),
]
# What differs in the URL's parameters, expected ErrorCode.
PARAMETERS: list[tuple[dict[str, str | None], int]] = [
    ({}, 0),
    ({"sdkappid": None}, 60012),
    ({"sdkappid": "7"}, 60006),
    ({"sdkappid": "x"}, 60006),
    ({"identifier": None}, 60025),
    ({"contenttype": "xml"}, 60025),
    ({"random": None}, 60025),
    ({"random": "4294967296"}, 60025),
    ({"usersig": None}, 70002),
    ({"usersig": "eJnonsense"}, 70003),
    ({"usersig": usersig.sign(APP_ID, SECRET, "somebody", NOON_S, 60)}, 70013),
    ({"usersig": usersig.sign(APP_ID + 1, SECRET, "administrator", NOON_S, 60)}, 70014),
    ({"usersig": usersig.sign(APP_ID, "another key", "administrator", NOON_S, 60)}, 70009),
    ({"usersig": usersig.sign(APP_ID, SECRET, "administrator", NOON_S - 61, 60)}, 70001),
    ({"identifier": "u1", "usersig": usersig.sign(APP_ID, SECRET, "u1", NOON_S, 60)}, 60010),
]


class Receiver:
    """A back end that webhooks are posted to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                got.append((dict(parse_qsl(urlsplit(self.path).query)), body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?tenant=a"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    made = Simulator(Given(SPECS[:1]), lambda: NOON_S)
    yield made
    await made.close()


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator), base_url="http://im.example") as made:
        yield made


def parameters(**changed: str | None) -> dict[str, str]:
    good = {
        "sdkappid": str(APP_ID),
        "identifier": "administrator",
        "usersig": usersig.sign(APP_ID, SECRET, "administrator", NOON_S, 60),
        "random": "1",
        "contenttype": "json",
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


async def call(client: httpx.AsyncClient, path: str, body: Any, **changed: str | None) -> dict[str, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = await client.post(f"/v4/{path}", params=parameters(**changed), content=content)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    assert answer["ActionStatus"] == ("FAIL" if answer["ErrorCode"] else "OK")
    assert isinstance(answer["ErrorInfo"], str)
    return answer


async def control(client: httpx.AsyncClient, name: str, body: Any) -> Any:
    response = await client.post(f"/simulator/{name}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_commands_answer_as_documented(client: httpx.AsyncClient) -> None:
    for step, (path, body, code) in enumerate(STEPS):
        assert (await call(client, path, body))["ErrorCode"] == code, f"step {step}: {path} {body}"


@pytest.mark.parametrize(("changed", "code"), PARAMETERS)
async def test_the_parameters_are_checked(client: httpx.AsyncClient, changed: dict[str, Any], code: int) -> None:
    answer = await call(client, "im_open_login_svc/account_import", {"UserID": "u1"}, **changed)
    assert answer["ErrorCode"] == code


async def test_what_comes_with_an_answer(client: httpx.AsyncClient) -> None:
    accounts = {"AccountList": [{"UserID": "u1", "Nick": "Ann"}, {"UserID": "u" * 33}], "Accounts": ["u2", ""]}
    answer = await call(client, "im_open_login_svc/multiaccount_import", accounts)
    assert answer["FailAccounts"] == ["u" * 33, ""]
    checked = {"CheckItem": [{"UserID": "u1"}, {"UserID": "u9"}]}
    answer = await call(client, "im_open_login_svc/account_check", checked)
    assert [item["AccountStatus"] for item in answer["ResultItem"]] == ["Imported", "NotImported"]
    answer = await call(client, "openim/query_online_status", {"To_Account": ["u1", "u9"]})
    assert answer["QueryResult"] == [{"To_Account": "u1", "Status": "Offline"}]
    assert answer["ErrorList"] == [{"To_Account": "u9", "ErrorCode": 70107}]
    deleted = {"DeleteItem": [{"UserID": "u1"}, {"UserID": "u9"}]}
    answer = await call(client, "im_open_login_svc/account_delete", deleted)
    assert [item["ResultCode"] for item in answer["ResultItem"]] == [0, 70107]
    assert (await call(client, "group_open_http_svc/create_group", LIVE))["GroupId"] == "live"
    asked = {"GroupIdList": ["live", "none"], "ResponseFilter": {"GroupBaseInfoFilter": ["Type", "MemberNum"]}}
    answer = await call(client, "group_open_http_svc/get_group_info", asked)
    assert answer["GroupInfo"] == [
        {"GroupId": "live", "ErrorCode": 0, "ErrorInfo": "", "Type": "AVChatRoom", "MemberNum": 0},
        {"GroupId": "none", "ErrorCode": 10010, "ErrorInfo": "group not exist"},
    ]


async def test_a_message_sent_twice_counts_once(client: httpx.AsyncClient) -> None:
    await call(client, "group_open_http_svc/create_group", LIVE)
    for number in (7, 7, 8):
        assert (await call(client, "group_open_http_svc/send_group_msg", MESSAGE | {"Random": number}))["MsgTime"]
    assert (await client.get("/simulator/state")).json()["apps"][str(APP_ID)]["groups"]["live"]["messages"] == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 10_000])
async def test_a_body_is_a_json_object(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await call(client, "im_open_login_svc/account_import", body))["ErrorCode"] == 60003


async def test_only_post(client: httpx.AsyncClient) -> None:
    response = await client.get("/v4/im_open_login_svc/account_import", params=parameters())
    assert response.json()["ErrorCode"] == 60002


async def test_faults_strike_as_often_as_ordered(client: httpx.AsyncClient) -> None:
    await control(client, "faults", {"command": "create_group", "code": 10002, "times": 2})
    codes = [(await call(client, "group_open_http_svc/create_group", LIVE))["ErrorCode"] for _ in range(3)]
    assert codes == [10002, 10002, 0]
    await control(client, "faults", {"code": 91000, "info": "everything"})
    assert (await call(client, "im_open_login_svc/kick", {"UserID": "u"}))["ErrorInfo"] == "everything"
    await control(client, "faults", {"status": 502, "sdkAppId": APP_ID})
    assert (await client.post("/v4/im_open_login_svc/kick", params=parameters())).status_code == 502
    await control(client, "faults", {"command": "kick", "delay_ms": 60, "times": 1})
    began = time.monotonic()
    assert (await call(client, "im_open_login_svc/kick", {"UserID": "u"}))["ErrorCode"] == 70107
    assert time.monotonic() - began >= 0.06
    assert len((await client.get("/simulator/state")).json()["faults"]) == 2
    await client.delete("/simulator/faults")
    assert (await call(client, "im_open_login_svc/account_import", {"UserID": "u"}))["ErrorCode"] == 0


async def test_a_dropped_call_is_not_answered(client: httpx.AsyncClient) -> None:
    await control(client, "faults", {"command": "kick", "drop": True})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.post("/v4/im_open_login_svc/kick", params=parameters(), content=b"{}")


async def test_a_rate_can_be_set(client: httpx.AsyncClient, simulator: Simulator) -> None:
    await control(client, "rate", {"perSecond": 3})
    answers = [await call(client, "im_open_login_svc/account_import", {"UserID": "u"}) for _ in range(5)]
    assert [answer["ErrorCode"] for answer in answers] == [0, 0, 0, 60007, 60007]
    await control(client, "rate", {"perSecond": 0})
    assert (await call(client, "im_open_login_svc/account_import", {"UserID": "u"}))["ErrorCode"] == 0
    state = (await client.get("/simulator/state")).json()
    assert state["calls"] == {"account_import": 6}
    assert SECRET not in json.dumps(state)


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("faults", {"kode": 1}, 400),
        ("faults", {"times": 0}, 400),
        ("rate", {}, 400),
        ("connect", {}, 400),
        ("connect", {"userId": "u1", "sdkAppId": 7}, 400),
        ("disconnect", {"userId": "nobody"}, 400),
        ("disconnect", {"userId": "nobody", "reason": "Boredom"}, 400),
        ("join", {"userId": "u1", "groupId": "none"}, 400),
        ("nothing", {}, 404),
    ],
)
async def test_a_wrong_order_is_explained(client: httpx.AsyncClient, name: str, body: Any, status: int) -> None:
    response = await client.post(f"/simulator/{name}", json=body)
    assert response.status_code == status
    assert response.json()["error"]


def test_the_signature_is_the_published_one() -> None:
    published = "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"
    assert signature("xxxxyyyy", "1669872112") == published


async def test_clients_come_and_go(receiver: Receiver) -> None:
    given = Given([AppSpec(APP_ID, SECRET, callback_token="xxxxyyyy")], receiver.url)
    simulator = Simulator(given, lambda: NOON_S)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator), base_url="http://im.example") as client:
        await call(client, "group_open_http_svc/create_group", LIVE)
        assert await control(client, "connect", {"userId": "u1", "platform": "Web"}) == {"webhookStatus": 200}
        await control(client, "join", {"userId": "u1", "groupId": "live"})
        answer = await call(client, "group_open_http_svc/get_online_member_num", {"GroupId": "live"})
        assert answer["OnlineMemberNum"] == 1
        await control(client, "exit", {"userId": "u1", "groupId": "live"})
        await control(client, "disconnect", {"userId": "u1", "reason": "TimeOut"})
        answer = await call(client, "openim/query_online_status", {"To_Account": ["u1"]})
        assert answer["QueryResult"] == [{"To_Account": "u1", "Status": "PushOnline"}]
        await control(client, "join", {"userId": "u1", "groupId": "live"})
        await call(client, "group_open_http_svc/destroy_group", {"GroupId": "live"})
        await call(client, "im_open_login_svc/kick", {"UserID": "u1"})
        await asyncio.to_thread(wait_until, lambda: len(receiver.got) == 7, "all webhooks")
    await simulator.close()
    for query, body in receiver.got:
        assert query["tenant"] == "a"
        assert (query["SdkAppid"], query["contenttype"]) == (str(APP_ID), "json")
        assert (query["CallbackCommand"], query["ClientIP"]) == (body["CallbackCommand"], "127.0.0.1")
        assert query["Sign"] == hashlib.sha256(b"xxxxyyyy" + query["RequestTime"].encode()).hexdigest()
        assert abs(int(query["RequestTime"]) - time.time()) < 60
        assert isinstance(body.pop("EventTime"), int)
    assert [query["OptPlatform"] for query, _ in receiver.got[:2]] == ["Web", "Android"]
    bodies = [body for _, body in receiver.got]
    told = {"GroupId": "live", "Type": "AVChatRoom", "Operator_Account": "u1"}
    assert bodies[0] == {
        "CallbackCommand": "State.StateChange",
        "Info": {"Action": "Login", "To_Account": "u1", "Reason": "Register"},
    }
    member = [{"Member_Account": "u1"}]
    joined = {"CallbackCommand": "Group.CallbackAfterNewMemberJoin", "JoinType": "Apply", "NewMemberList": member}
    left = {"CallbackCommand": "Group.CallbackAfterMemberExit", "ExitType": "Quit", "ExitMemberList": member}
    assert bodies[1] == joined | told
    assert bodies[2] == left | told
    assert bodies[3]["Info"] == {"Action": "Disconnect", "To_Account": "u1", "Reason": "TimeOut"}
    (destroyed,) = (body for body in bodies if body["CallbackCommand"] == "Group.CallbackAfterGroupDestroyed")
    assert (destroyed["GroupId"], destroyed["MemberList"]) == ("live", member)
    (kicked,) = (query for query, body in receiver.got[5:] if body["CallbackCommand"] == "State.StateChange")
    assert kicked["OptPlatform"] == "RESTAPI"


async def test_a_webhook_that_nobody_takes_is_noted() -> None:
    simulator = Simulator(Given(SPECS[:1], "http://127.0.0.1:1/"))
    transport = httpx.ASGITransport(simulator)
    async with httpx.AsyncClient(transport=transport, base_url="http://im.example") as lonely:
        assert await control(lonely, "connect", {"userId": "u1"}) == {"webhookStatus": None}
        (sent,) = (await lonely.get("/simulator/state")).json()["webhooks"]
        assert (sent["command"], sent["status"], sent["error"]) == ("State.StateChange", None, "ConnectError")
    await simulator.close()


async def test_an_unsigned_webhook_has_no_sign(receiver: Receiver) -> None:
    simulator = Simulator(Given(SPECS[:1], receiver.url))
    transport = httpx.ASGITransport(simulator)
    async with httpx.AsyncClient(transport=transport, base_url="http://im.example") as client:
        assert await control(client, "connect", {"userId": "u1"}) == {"webhookStatus": 200}
    await simulator.close()
    ((query, _),) = receiver.got
    assert not {"Sign", "RequestTime"} & set(query)


def test_the_process_sends_webhooks_and_ends_in_good_order(receiver: Receiver) -> None:
    with ImSimulator("--callback", receiver.url, "--callback-token", "t", "--admin", "boss") as simulator:
        assert simulator.control("connect", {"userId": "u1"}) == {"webhookStatus": 200}
        assert simulator.control("state")["apps"][str(APP_ID)]["accounts"]["u1"]["status"] == "Online"
        assert simulator.stop() == 0
        assert str(APP_ID) in simulator.log()
        assert SECRET not in simulator.log()
    assert "Sign" in receiver.got[0][0]


@pytest.mark.parametrize("args", [["--app", f"x:{SECRET}"], ["--app", "1400000000"], ["--callback", "somewhere"]])
def test_wrong_arguments_are_refused_without_repeating_them(args: list[str], tmp_path: Any) -> None:
    command = [*PROGRAM, "im-simulator", "--app", f"{APP_ID}:{SECRET}", *args]
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean_env(), cwd=tmp_path, timeout=30, check=False
    )
    assert done.returncode == 2
    assert args[0] in done.stderr
    assert SECRET not in done.stderr
