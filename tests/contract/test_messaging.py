"""Messaging: what the port promises, over every back end, and what Tencent's adapter makes of each answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from contract.messaging import OTHER, SECRET, TENANT, Embedded, ImSimulator, Moment, Simulated, answering, said
from liveroom.adapters.im import codes
from liveroom.adapters.im.codes import Cure
from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.im.limiter import CallLimiter
from liveroom.adapters.im.rest import base_url
from liveroom.adapters.im.standing import CALLS
from liveroom.adapters.im.tencent import TencentMessaging
from liveroom.model import Tenant
from liveroom.ports.messaging import Messaging, MessagingTrouble, Remedy
from liveroom.services import usersig

BackEnd = Embedded | Simulated
Verb = Callable[[Messaging], Awaitable[Any]]
VERBS: dict[str, Verb] = {
    "create_group": lambda messaging: messaging.create_group(TENANT, "room"),
    "destroy_group": lambda messaging: messaging.destroy_group(TENANT, "room"),
    "account_import": lambda messaging: messaging.import_account(TENANT, "u1", "Ann", "https://a/1.png"),
    "account_delete": lambda messaging: messaging.delete_account(TENANT, "u1"),
    "kick": lambda messaging: messaging.kick(TENANT, "u1"),
    "get_group_info": lambda messaging: messaging.groups(TENANT, ["room"]),
    "query_online_status": lambda messaging: messaging.connected(TENANT, ["u1"]),
}
# The classes of the collected facts, code by code.
RETRY = {10002, 10049, 10056, 60004, 60005, 60008, 60014, 70169, 70202, 70500, 30006, 30007, 30008, 40006}
RETRY |= {90992, 90994, 90995, 91000}
LATER = {10006, 10023, 60007, 60011, 60018, 60019}
SIGN = {70001, 70002, 70003, 70005}
IMPORT = {70107, 10019, 40003}
CONFIGURE = {60006, 60010, 60012, 60016, 60017, 60020, 60021, 60025, 60026, 60028, 70009, 70013, 70014, 70016, 70020}
CONFIGURE |= {70051, 70403, 10036, 10058, 10059}
GIVE_UP = {10003, 10004, 10005, 10007, 10014, 10015, 10016, 10017, 10037, 10038, 60002, 60003, 60009, 60015}
GIVE_UP |= {70402, 80001, 80002}
# A verb's command, and codes that are as good as 0 to it.
SETTLED = [("create_group", 10021), ("create_group", 10025), ("destroy_group", 10010), ("destroy_group", 10015)]
SETTLED += [("account_delete", 70107)]


@pytest.fixture(params=["embedded", "tencent"])
async def back_end(request: pytest.FixtureRequest) -> AsyncIterator[BackEnd]:
    made: BackEnd = Embedded() if request.param == "embedded" else Simulated()
    yield made
    await made.close()


@pytest.fixture
async def simulated() -> AsyncIterator[Simulated]:
    made = Simulated()
    yield made
    await made.close()


@pytest.fixture(scope="module")
def process() -> Iterator[ImSimulator]:
    with ImSimulator() as simulator:
        yield simulator


@pytest.fixture
async def over_network(process: ImSimulator) -> AsyncIterator[TencentMessaging]:
    """The adapter against the real process, without faults left over."""
    process.control("faults", method="DELETE")
    messaging = TencentMessaging(process.url, usersig.sign, lambda: time.time_ns() // 1_000_000)
    yield messaging
    await messaging.close()


async def trouble_of(verb: Awaitable[Any]) -> MessagingTrouble:
    with pytest.raises(MessagingTrouble) as caught:
        await verb
    return caught.value


# What the port promises.


async def test_a_group_is_there_from_create_to_destroy(back_end: BackEnd) -> None:
    messaging = back_end.messaging
    assert await messaging.groups(TENANT, ["room", "other"]) == {"room": False, "other": False}
    for _ in range(2):
        await messaging.create_group(TENANT, "room")
        assert await messaging.groups(TENANT, ["room", "other"]) == {"room": True, "other": False}
    for _ in range(2):
        await messaging.destroy_group(TENANT, "room")
        assert await messaging.groups(TENANT, ["room", "other"]) == {"room": False, "other": False}
    await messaging.create_group(TENANT, "room")
    assert await messaging.groups(TENANT, ["room"]) == {"room": True}


async def test_fifty_groups_are_asked_for_at_once(back_end: BackEnd) -> None:
    names = [f"room{number}" for number in range(50)]
    for name in names[::2]:
        await back_end.messaging.create_group(TENANT, name)
    assert await back_end.messaging.groups(TENANT, names) == {name: name in names[::2] for name in names}


async def test_a_group_id_may_be_longer_than_a_name(back_end: BackEnd) -> None:
    await back_end.messaging.create_group(TENANT, "r" * 48)
    assert await back_end.messaging.groups(TENANT, ["r" * 48]) == {"r" * 48: True}


async def test_everybody_in_a_group_is_told(back_end: BackEnd) -> None:
    await back_end.messaging.create_group(TENANT, "room")
    long = "语" * 2_730
    await back_end.messaging.notify_group(TENANT, "room", '{"events":[]}')
    await back_end.messaging.notify_group(TENANT, "room", long)
    assert back_end.notices("room") == ['{"events":[]}', long]


async def test_a_group_that_is_not_there_is_told_all_the_same(back_end: BackEnd) -> None:
    await back_end.messaging.notify_group(TENANT, "room", "hello")
    await back_end.messaging.create_group(TENANT, "room")
    assert back_end.notices("room") == []


async def test_an_account_is_known_from_import_to_delete(back_end: BackEnd) -> None:
    messaging = back_end.messaging
    assert await messaging.connected(TENANT, ["u1", "u2"]) == {}
    for _ in range(2):
        await messaging.import_account(TENANT, "u1", "Ann", "https://a/1.png")
        assert await messaging.connected(TENANT, ["u1", "u2"]) == {"u1": False}
    for _ in range(2):
        await messaging.delete_account(TENANT, "u1")
        assert await messaging.connected(TENANT, ["u1", "u2"]) == {}


async def test_a_second_import_brings_the_new_profile(back_end: BackEnd) -> None:
    await back_end.messaging.import_account(TENANT, "u1", "Ann", "https://a/1.png")
    assert back_end.profile("u1") == ("Ann", "https://a/1.png")
    await back_end.messaging.import_account(TENANT, "u1", "安娜", "")
    assert back_end.profile("u1") == ("安娜", "")


async def test_a_kick_ends_the_connection(back_end: BackEnd) -> None:
    messaging = back_end.messaging
    await messaging.import_account(TENANT, "u1", "Ann", "")
    await back_end.connect("u1")
    assert await messaging.connected(TENANT, ["u1"]) == {"u1": True}
    for _ in range(2):
        await messaging.kick(TENANT, "u1")
        assert await messaging.connected(TENANT, ["u1"]) == {"u1": False}


async def test_whoever_is_not_there_is_kicked_all_the_same(back_end: BackEnd) -> None:
    await back_end.messaging.kick(TENANT, "nobody")
    assert not (await back_end.messaging.connected(TENANT, ["nobody"])).get("nobody")


async def test_tenants_do_not_meet(back_end: BackEnd) -> None:
    messaging = back_end.messaging
    await messaging.create_group(TENANT, "room")
    await messaging.import_account(TENANT, "u1", "Ann", "")
    assert await messaging.groups(OTHER, ["room"]) == {"room": False}
    assert await messaging.connected(OTHER, ["u1"]) == {}
    await messaging.destroy_group(OTHER, "room")
    await messaging.delete_account(OTHER, "u1")
    assert await messaging.groups(TENANT, ["room"]) == {"room": True}
    assert await messaging.connected(TENANT, ["u1"]) == {"u1": False}


async def test_about_nobody_there_is_nothing_to_say(back_end: BackEnd) -> None:
    assert await back_end.messaging.groups(TENANT, []) == {}
    assert await back_end.messaging.connected(TENANT, []) == {}


async def test_it_is_well_from_the_start(back_end: BackEnd) -> None:
    await back_end.messaging.ping()


def test_which_has_a_vendor() -> None:
    assert not EmbeddedMessaging.remote
    assert TencentMessaging.remote


async def test_the_embedded_one_forgets_the_oldest() -> None:
    messaging = EmbeddedMessaging(most=3)
    for number in range(5):
        await messaging.create_group(TENANT, f"r{number}")
        await messaging.import_account(TENANT, f"u{number}", "", "")
    assert [name for name, there in (await messaging.groups(TENANT, ["r0", "r1", "r2", "r3"])).items() if there] == [
        "r2",
        "r3",
    ]
    assert set(await messaging.connected(TENANT, ["u0", "u1", "u2", "u3", "u4"])) == {"u2", "u3", "u4"}


# What goes out.


async def test_what_a_call_looks_like() -> None:
    clock = Moment()
    messaging, seen = answering(lambda _: said(), clock)
    await messaging.create_group(TENANT, "r" * 40)
    (request,) = seen
    assert request.method == "POST"
    assert str(request.url).startswith("https://im.example/v4/group_open_http_svc/create_group?")
    query = dict(request.url.params)
    assert set(query) == {"sdkappid", "identifier", "usersig", "random", "contenttype"}
    assert (query["sdkappid"], query["identifier"], query["contenttype"]) == ("1400000000", "administrator", "json")
    assert 0 <= int(query["random"]) < 2**32
    assert usersig.verify(query["usersig"], TENANT.sdk_app_id, SECRET, "administrator", clock() // 1000)
    assert json.loads(request.content) == {"Type": "AVChatRoom", "GroupId": "r" * 40, "Name": "r" * 30}
    await messaging.close()


async def test_texts_that_are_too_long_are_cut_and_urls_left_out() -> None:
    messaging, seen = answering(lambda _: said())
    await messaging.import_account(TENANT, "u1", "安" * 400, "https://a/" + "p" * 500)
    imported, portrait = (json.loads(request.content) for request in seen)
    assert imported == {"UserID": "u1", "Identifier": "u1", "Nick": "安" * 166}
    assert portrait == {
        "From_Account": "u1",
        "ProfileItem": [{"Tag": "Tag_Profile_IM_Nick", "Value": "安" * 166}],
    }
    await messaging.close()


async def test_members_are_never_added_or_removed(simulated: Simulated) -> None:
    for verb in VERBS.values():
        await verb(simulated.messaging)
    called = {"create_group", "destroy_group", "account_import", "portrait_set", "account_delete", "kick"}
    assert set(simulated.calls) == called | {"get_group_info", "query_online_status"}


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("console.tim.qq.com", "https://console.tim.qq.com"),
        ("https://console.tim.qq.com/", "https://console.tim.qq.com"),
        ("http://127.0.0.1:9100", "http://127.0.0.1:9100"),
    ],
)
def test_a_bare_domain_is_https(given: str, base: str) -> None:
    assert base_url(given) == base


# The UserSig.


async def test_a_user_sig_serves_until_it_is_near_its_end() -> None:
    clock = Moment()
    messaging, seen = answering(lambda _: said(), clock)
    for later_s in (0, 1, 60_000, 69_119):
        clock.now_s = Moment().now_s + later_s
        await messaging.create_group(TENANT, "room")
    assert len({request.url.params["usersig"] for request in seen}) == 1
    for elsewhere_s in (69_121, -1_000):
        clock.now_s = Moment().now_s + elsewhere_s
        await messaging.create_group(TENANT, "room")
    assert len({request.url.params["usersig"] for request in seen}) == 3
    await messaging.create_group(OTHER, "room")
    assert usersig.read(seen[-1].url.params["usersig"])["TLS.identifier"] == "boss"
    await messaging.close()


@pytest.mark.parametrize("code", sorted(SIGN))
async def test_a_refused_user_sig_is_made_anew_once(code: int) -> None:
    clock = Moment()
    refused: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sig = request.url.params["usersig"]
        if not refused:
            refused.append(sig)
            clock.now_s += 1
        return said(code if sig in refused else 0)

    messaging, seen = answering(answer, clock)
    await messaging.create_group(TENANT, "room")
    assert len(seen) == 2
    assert seen[0].url.params["usersig"] != seen[1].url.params["usersig"]
    await messaging.ping()
    await messaging.close()


@pytest.mark.parametrize("code", sorted(SIGN))
async def test_a_new_user_sig_that_is_refused_too_is_for_the_operator(code: int) -> None:
    messaging, seen = answering(lambda _: said(code))
    trouble = await trouble_of(messaging.create_group(TENANT, "room"))
    assert (trouble.remedy, trouble.code, len(seen)) == (Remedy.CONFIGURE, code, 2)
    await messaging.close()


async def test_many_callers_make_one_new_user_sig() -> None:
    made: list[str] = []

    def sign(app_id: int, secret: str, user_id: str, now_s: int, ttl_s: int) -> str:
        made.append(usersig.sign(app_id, secret, user_id, now_s + len(made), ttl_s))
        return made[-1]

    def reply(request: httpx.Request) -> httpx.Response:
        return said(70001 if request.url.params["usersig"] == made[0] else 0)

    messaging = TencentMessaging("im.example", sign, Moment(), transport=httpx.MockTransport(reply))
    await asyncio.gather(*(messaging.create_group(TENANT, f"r{number}") for number in range(20)))
    assert len(made) == 2
    await messaging.close()


async def test_a_clock_that_is_wrong_by_days(simulated: Simulated) -> None:
    """The simulator reads the UserSig with a clock of its own."""
    await simulated.messaging.create_group(TENANT, "room")
    vendor = Moment(simulated.clock.now_s + 2 * 86_400)
    simulated.simulator._clock_s = vendor.seconds
    trouble = await trouble_of(simulated.messaging.create_group(TENANT, "room"))
    assert (trouble.remedy, trouble.code) == (Remedy.CONFIGURE, 70001)
    simulated.clock.now_s = vendor.now_s
    await simulated.messaging.create_group(TENANT, "room")


# Codes.


def test_every_code_has_its_class() -> None:
    classes = {Cure.LATER: LATER, Cure.SIGN: SIGN, Cure.IMPORT: IMPORT, Cure.REST: {70050}}
    classes |= {Cure.RETRY: RETRY, Cure.CONFIGURE: CONFIGURE, Cure.GIVE_UP: GIVE_UP, Cure.NONE: {0}}
    for cure, members in classes.items():
        assert {code: codes.cure("some_command", code) for code in members} == dict.fromkeys(members, cure)
    assert codes.cure("some_command", 123_456) is Cure.GIVE_UP
    assert len(RETRY | LATER | SIGN | IMPORT | CONFIGURE | GIVE_UP) == sum(
        map(len, (RETRY, LATER, SIGN, IMPORT, CONFIGURE, GIVE_UP))
    )


@pytest.mark.parametrize(("verb", "code"), SETTLED)
async def test_what_is_so_already_is_success(verb: str, code: int) -> None:
    messaging, seen = answering(lambda _: said(code))
    await VERBS[verb](messaging)
    assert len(seen) == 1
    await messaging.close()


@pytest.mark.parametrize("code", sorted(RETRY))
async def test_passing_trouble_is_tried_once_more(code: int) -> None:
    answers = iter([code, 0])
    messaging, seen = answering(lambda _: said(next(answers)))
    await messaging.create_group(TENANT, "room")
    assert len(seen) == 2
    messaging, seen = answering(lambda _: said(code))
    trouble = await trouble_of(messaging.create_group(TENANT, "room"))
    assert (trouble.remedy, trouble.code, len(seen)) == (Remedy.RETRY, code, 2)
    await messaging.close()


@pytest.mark.parametrize(
    ("members", "remedy"),
    [(LATER | {70050}, Remedy.RETRY), (CONFIGURE, Remedy.CONFIGURE), (GIVE_UP, Remedy.GIVE_UP)],
)
async def test_other_trouble_is_told_at_once(members: set[int], remedy: Remedy) -> None:
    for code in sorted(members):
        messaging, seen = answering(lambda _, code=code: said(code))
        trouble = await trouble_of(messaging.create_group(TENANT, "room"))
        assert (trouble.remedy, trouble.code, len(seen)) == (remedy, code, 1)
        await messaging.close()


async def test_after_too_many_refusals_nobody_calls_for_a_minute() -> None:
    clock = Moment()
    answers = iter([70050, 0, 0])
    messaging, seen = answering(lambda _: said(next(answers)), clock)
    for _ in range(2):
        trouble = await trouble_of(messaging.create_group(TENANT, "room"))
        assert (trouble.remedy, trouble.code) == (Remedy.RETRY, 70050)
    await messaging.create_group(OTHER, "room")
    assert len(seen) == 2
    clock.now_s += 60
    await messaging.create_group(TENANT, "room")
    await messaging.close()


@pytest.mark.parametrize("code", sorted(IMPORT))
async def test_an_account_that_is_not_known_is_imported(code: int) -> None:
    answers = iter([code, 0, 0])
    messaging, seen = answering(lambda _: said(next(answers)))
    await messaging.kick(TENANT, "u1")
    assert [request.url.path.rpartition("/")[2] for request in seen] == ["kick", "account_import", "kick"]
    await messaging.close()


async def test_an_account_that_stays_unknown_is_tried_later() -> None:
    messaging, seen = answering(lambda request: said(0 if "account_import" in request.url.path else 70107))
    trouble = await trouble_of(messaging.kick(TENANT, "u1"))
    assert (trouble.remedy, trouble.code, len(seen)) == (Remedy.RETRY, 70107, 3)
    await messaging.close()


async def test_an_account_that_may_not_come_back_is_given_up() -> None:
    messaging, _ = answering(lambda request: said(70399 if "account_import" in request.url.path else 70107))
    trouble = await trouble_of(messaging.kick(TENANT, "u1"))
    assert (trouble.remedy, trouble.code) == (Remedy.GIVE_UP, 70399)
    await messaging.close()


async def test_each_deleted_account_has_its_own_code() -> None:
    for code, remedy in ((71000, Remedy.CONFIGURE), (30006, Remedy.RETRY), (70402, Remedy.GIVE_UP)):
        items = [{"UserID": "u1", "ResultCode": code, "ResultInfo": ""}]
        messaging, _ = answering(lambda _, items=items: said(0, ResultItem=items))
        trouble = await trouble_of(messaging.delete_account(TENANT, "u1"))
        assert (trouble.remedy, trouble.code) == (remedy, code)
        await messaging.close()


async def test_each_group_has_its_own_code() -> None:
    told = {"a": 0, "b": 10010, "c": 10015, "d": 10002, "e": 10007}
    items = [{"GroupId": name, "ErrorCode": code, "ErrorInfo": ""} for name, code in told.items()]
    messaging, _ = answering(lambda _: said(10002, GroupInfo=items))
    assert await messaging.groups(TENANT, [*told, "f"]) == {"a": True, "b": False, "c": False}
    await messaging.close()


async def test_groups_without_a_list_are_an_answer_as_any_other() -> None:
    messaging, _ = answering(lambda _: said(10010))
    assert await messaging.groups(TENANT, ["a"]) == {"a": False}
    assert await messaging.groups(TENANT, ["a", "b"]) == {}
    messaging, _ = answering(lambda _: said(60006))
    assert (await trouble_of(messaging.groups(TENANT, ["a"]))).code == 60006
    await messaging.close()


async def test_only_online_is_connected() -> None:
    states = {"u1": "Online", "u2": "PushOnline", "u3": "Offline"}
    results = [{"To_Account": user_id, "Status": status} for user_id, status in states.items()]
    errors = [{"To_Account": "u4", "ErrorCode": 70107}]
    messaging, _ = answering(lambda _: said(0, QueryResult=results, ErrorList=errors))
    found = await messaging.connected(TENANT, [*states, "u4", "u5"])
    assert found == {"u1": True, "u2": False, "u3": False}
    await messaging.close()


@pytest.mark.parametrize(
    ("extra", "verb"),
    [
        ({"GroupInfo": "?"}, "get_group_info"),
        ({"GroupInfo": [1, {"GroupId": ["room"], "ErrorCode": {}}]}, "get_group_info"),
        ({"QueryResult": [None, {"To_Account": {}}]}, "query_online_status"),
        ({"ResultItem": [{"ResultCode": "no"}]}, "account_delete"),
    ],
)
async def test_answers_of_a_strange_shape_are_survived(extra: dict[str, Any], verb: str) -> None:
    messaging, _ = answering(lambda _: said(0, **extra))
    assert not await VERBS[verb](messaging)
    await messaging.close()


# What is no answer.

UNANSWERED: list[tuple[Any, Remedy]] = [
    (httpx.ConnectError("no route"), Remedy.RETRY),
    (httpx.RemoteProtocolError("closed"), Remedy.RETRY),
    (httpx.Response(502, text="<html>"), Remedy.RETRY),
    (httpx.Response(500, json={"ErrorCode": 0}), Remedy.RETRY),
    (httpx.Response(429), Remedy.RETRY),
    (httpx.Response(404, text="<html>"), Remedy.CONFIGURE),
    (httpx.Response(301, headers={"Location": "https://elsewhere/"}), Remedy.CONFIGURE),
    (httpx.Response(200, text="<html>"), Remedy.RETRY),
    (httpx.Response(200, content=b"\xff\xfe"), Remedy.RETRY),
    (httpx.Response(200, content=b"[" * 100_000), Remedy.RETRY),
    (httpx.Response(200, json=[]), Remedy.RETRY),
    (httpx.Response(200, json={"ActionStatus": "OK"}), Remedy.RETRY),
    (httpx.Response(200, json={"ErrorCode": "0"}), Remedy.RETRY),
]


@pytest.mark.parametrize(("given", "remedy"), UNANSWERED)
async def test_what_is_no_answer_of_the_api(given: Any, remedy: Remedy) -> None:
    messaging, seen = answering(lambda _: given)
    trouble = await trouble_of(messaging.create_group(TENANT, "room"))
    assert (trouble.remedy, trouble.code, len(seen)) == (remedy, 0, 2 if remedy is Remedy.RETRY else 1)
    await messaging.close()


async def test_the_vendor_comes_back_within_a_verb(over_network: TencentMessaging, process: ImSimulator) -> None:
    process.control("faults", {"command": "create_group", "status": 502, "times": 1})
    await over_network.create_group(TENANT, "room")
    process.control("faults", {"command": "*", "code": 10002, "times": 1})
    assert await over_network.groups(TENANT, ["room"]) == {"room": True}


async def test_a_vendor_that_hangs_is_not_waited_for(over_network: TencentMessaging, process: ImSimulator) -> None:
    process.control("faults", {"command": "*", "drop": True})
    began = time.monotonic()
    verbs = [trouble_of(verb(over_network)) for verb in VERBS.values()]
    troubles = await asyncio.gather(*verbs)
    assert 4.5 < time.monotonic() - began < 6
    assert {(trouble.remedy, trouble.code) for trouble in troubles} == {(Remedy.RETRY, 0)}
    assert (await trouble_of(over_network.ping())).remedy is Remedy.RETRY
    process.control("faults", method="DELETE")
    await over_network.create_group(TENANT, "room")
    await over_network.ping()


async def test_a_slow_answer_leaves_no_time_for_a_second_try() -> None:
    async def reply(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(2.1)
        seen.append(1)
        return said(10002)

    seen: list[int] = []
    messaging = TencentMessaging("im.example", usersig.sign, Moment(), transport=httpx.MockTransport(reply))
    assert (await trouble_of(messaging.create_group(TENANT, "room"))).code == 10002
    assert len(seen) == 1
    await messaging.close()


async def test_a_vendor_that_is_gone_and_back(process: ImSimulator) -> None:
    messaging = TencentMessaging(process.url, usersig.sign, lambda: time.time_ns() // 1_000_000)
    await messaging.create_group(TENANT, "room")
    process.kill()
    trouble = await trouble_of(messaging.create_group(TENANT, "room"))
    assert (trouble.remedy, trouble.code) == (Remedy.RETRY, 0)
    process.start()
    await messaging.create_group(TENANT, "room")
    await messaging.close()


async def test_a_caller_that_goes_away_leaves_the_rest_alone(
    over_network: TencentMessaging, process: ImSimulator
) -> None:
    process.control("faults", {"command": "create_group", "delay_ms": 300})
    tasks = [asyncio.create_task(over_network.create_group(TENANT, f"room{number}")) for number in range(4)]
    await asyncio.sleep(0.1)
    tasks[0].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [None, None, None]
    await over_network.ping()


# How it is doing.


async def test_ping_tells_of_the_last_call(simulated: Simulated) -> None:
    messaging = simulated.messaging
    await simulated.order(command="create_group", code=60006)
    await trouble_of(messaging.create_group(TENANT, "room"))
    for _ in range(2):
        trouble = await trouble_of(messaging.ping())
        assert (trouble.remedy, trouble.code) == (Remedy.CONFIGURE, 60006)
    await messaging.groups(OTHER, ["room"])
    await messaging.ping()
    await simulated.order(command="kick", code=10004)
    await trouble_of(messaging.kick(TENANT, "u1"))
    await messaging.ping()


async def test_a_fault_of_configuration_is_told_once(simulated: Simulated, caplog: pytest.LogCaptureFixture) -> None:
    def told() -> int:
        return len([record for record in caplog.records if record.levelno == logging.ERROR])

    wrong = [Tenant("a", TENANT.sdk_app_id, "x" * 64), Tenant("b", TENANT.sdk_app_id, "x" * 64)]
    for _ in range(3):
        for tenant in wrong:
            assert (await trouble_of(simulated.messaging.create_group(tenant, "room"))).code == 70009
    assert told() == 2
    assert "TRTC_TIM_SECRET" in caplog.text
    await simulated.messaging.create_group(TENANT, "room")
    await simulated.order(command="create_group", code=10036)
    for count in (3, 3):
        await trouble_of(simulated.messaging.create_group(TENANT, "room"))
        assert told() == count
    await simulated.messaging.groups(TENANT, ["room"])
    await trouble_of(simulated.messaging.create_group(TENANT, "room"))
    assert told() == 4


@pytest.mark.parametrize("given", [70009, 70001, 10002, 80001, 60007, httpx.ConnectError("?"), httpx.Response(502)])
async def test_no_secret_reaches_the_log_or_a_message(given: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sigs: set[str] = set()

    def answer(request: httpx.Request) -> Any:
        sigs.add(request.url.params["usersig"])
        info = f"bad {request.url.params['usersig']} of {SECRET}\n at {'x' * 500}"
        return said(given, ErrorInfo=info) if isinstance(given, int) else given

    messaging, _ = answering(answer)
    for verb in VERBS.values():
        with pytest.raises(MessagingTrouble) as caught:
            await verb(messaging)
        shown = f"{caught.value!r} {caught.getrepr(chain=True, style='native')}"
        assert len(str(caught.value)) < 200
        assert "\n" not in str(caught.value)
        for secret in {SECRET, *sigs}:
            assert secret not in shown.replace("\n", "")
    for secret in {SECRET, *sigs, "usersig="}:
        assert secret not in caplog.text
    await messaging.close()


async def test_no_url_is_logged_over_the_network(
    over_network: TencentMessaging, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await over_network.create_group(TENANT, "room")
    assert "usersig" not in caplog.text
    assert "create_group" not in caplog.text


async def test_calls_are_counted(simulated: Simulated) -> None:
    def counted(outcome: str) -> float:
        return CALLS.labels("destroy_group", outcome)._value.get()

    before = {outcome: counted(outcome) for outcome in ("ok", "retry", "give up")}
    await simulated.messaging.destroy_group(TENANT, "room")
    await simulated.order(command="destroy_group", code=10004, times=1)
    await trouble_of(simulated.messaging.destroy_group(TENANT, "room"))
    await simulated.order(command="destroy_group", code=10002, times=1)
    await simulated.messaging.destroy_group(TENANT, "room")
    assert {outcome: counted(outcome) - before[outcome] for outcome in before} == {"ok": 2, "retry": 1, "give up": 1}


# How many calls a second.


class Ramp:
    """A clock that only sleeping moves: whoever sleeps wakes in the order of time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until - 1e-9:
            await asyncio.sleep(0)
            self.now = min(until, self.now + 0.001)


@pytest.mark.parametrize(("command", "most"), [("create_group", 200), ("account_delete", 100), ("kick", 200)])
async def test_a_second_has_room_for_so_many_calls(command: str, most: int) -> None:
    granted: list[float] = []
    clock = Moment(1_000)
    limiter = CallLimiter(clock.seconds, clock.sleep, longest_s=10)
    for _ in range(5 * most):
        assert await limiter.turn(1, command)
        granted.append(clock.now_s)
    assert all(granted[index + most] - granted[index] >= 1 for index in range(len(granted) - most))
    assert granted[-1] - granted[0] < 4.001


async def test_applications_and_commands_are_counted_apart() -> None:
    clock = Moment(1_000)
    limiter = CallLimiter(clock.seconds, clock.sleep)
    for app_id, command in ((1, "create_group"), (2, "create_group"), (1, "kick")):
        for _ in range(200):
            assert await limiter.turn(app_id, command)
    assert clock.now_s == 1_000


async def test_so_many_wait_and_no_more() -> None:
    ramp = Ramp()
    limiter = CallLimiter(ramp, ramp.sleep)
    turns = await asyncio.gather(*(limiter.turn(1, "create_group") for _ in range(1_000)))
    assert sum(turns) == 400
    ramp.now += 10
    assert await limiter.turn(1, "create_group")


async def test_whoever_would_wait_too_long_hears_it(simulated: Simulated) -> None:
    clock = Moment()
    flooded = Simulated(limiter=CallLimiter(clock.seconds, asyncio.sleep, longest_s=0))
    outcomes = await asyncio.gather(
        *(flooded.messaging.create_group(TENANT, f"r{number}") for number in range(300)), return_exceptions=True
    )
    troubles = [outcome for outcome in outcomes if isinstance(outcome, MessagingTrouble)]
    assert len(troubles) == 100
    assert {(trouble.remedy, trouble.code) for trouble in troubles} == {(Remedy.RETRY, 0)}
    assert flooded.calls == {"create_group": 200}
    # It is we who called too much, so the vendor is well.
    await flooded.messaging.ping()
    await flooded.close()


@pytest.mark.parametrize("code", [10002, 60008])
async def test_what_may_have_been_told_is_not_told_again(code: int) -> None:
    messaging, seen = answering(lambda _: said(code))
    assert (await trouble_of(messaging.notify_group(TENANT, "room", "hello"))).remedy is Remedy.RETRY
    assert len(seen) == 1
    await messaging.close()


async def test_a_vendor_that_is_not_reached_is_not_told_again() -> None:
    messaging, seen = answering(lambda _: httpx.ReadTimeout("too late"))
    assert (await trouble_of(messaging.notify_group(TENANT, "room", "hello"))).remedy is Remedy.RETRY
    assert len(seen) == 1
    await messaging.close()


@pytest.mark.parametrize("code", [10010, 10015])
async def test_a_group_that_is_gone_needs_telling_no_more(code: int) -> None:
    messaging, seen = answering(lambda _: said(code))
    await messaging.notify_group(TENANT, "room", "hello")
    assert json.loads(seen[0].content) == {"GroupId": "room", "Content": "hello"}
    await messaging.close()
