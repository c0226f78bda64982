"""Live streams on one process and on two: whoever follows on one sees what is done on the other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from envelopes import Account, code_of, sign_up
from streams import following, versions
from websockets.sync.client import connect
from wire import Service, Topology, fresh_name, pairs

from servers import MariaDB, Redis
from service import two_processes


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


@pytest.fixture
def here(topology: Topology) -> str:
    """Where the reader is."""
    return topology.urls[0]


@pytest.fixture
def there(topology: Topology) -> Service:
    """Where things are done."""
    return Service([topology.urls[-1]])


def done(service: Service, account: Account, call: str, **more: str) -> None:
    assert code_of(service, call, **account.credentials, **more) == 0


def test_a_show_from_beginning_to_end(service: Service, here: str, there: Service) -> None:
    ann, ben = sign_up(service), sign_up(service)
    room = ann.user_id
    done(there, ann, "rooms/enter_room", roomId=room, appId="0", role="anchor", title="a show")
    with following(here, ben, roomId=room) as follower:
        assert follower.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert follower.answer.headers["Cache-Control"] == "no-store"
        (snapshot,) = follower.until(lambda told: len(told) == 1)
        assert (snapshot["kind"], snapshot["version"]) == ("snapshot", 2)
        for _ in range(20):
            done(there, ben, "rooms/enter_room", roomId=room, appId="0")
            done(there, ben, "rooms/leave_room", roomId=room)
        done(there, ann, "rooms/update_room", roomId=room, title="more")
        done(there, ann, "rooms/destroy_room", roomId=room)
        told = follower.until(lambda told: told[-1]["kind"] == "end")
        assert versions(told) == list(range(3, 45))
        assert told[-1] == {"kind": "end", "reason": "room closed"}
        assert follower.next() is None
        assert follower.id == "1.44"


def test_going_on_at_another_process(service: Service, topology: Topology, there: Service) -> None:
    ann = sign_up(service)
    room = ann.user_id
    done(there, ann, "rooms/enter_room", roomId=room, appId="0")
    with following(topology.urls[0], ann, roomId=room) as follower:
        follower.until(lambda told: len(told) == 1)
        last = follower.id
    for title in "abc":
        done(there, ann, "rooms/update_room", roomId=room, title=title)
    for how in ({"last_id": last}, {"since": last}, {"since": last.partition(".")[2]}):
        with following(topology.urls[-1], ann, roomId=room, **how) as follower:
            told = follower.until(lambda told: len(told) == 4)
            assert [body["kind"] for body in told] == ["resumed", *["room.updated"] * 3]
            assert [body.get("title") for body in told[1:]] == ["a", "b", "c"]


def test_the_same_over_a_websocket(service: Service, here: str, there: Service) -> None:
    ann = sign_up(service)
    room = ann.user_id
    done(there, ann, "rooms/enter_room", roomId=room, appId="0")
    query = pairs({"userId": ann.user_id, "token": ann.token, "roomId": room}, "")
    with connect(f"{here.replace('http', 'ws')}/prod/base/v1/rooms/stream?{query}") as socket:
        first = json.loads(socket.recv(timeout=5))
        assert (first["id"], first["data"]["kind"]) == ("1.2", "snapshot")
        done(there, ann, "rooms/update_room", roomId=room, title="t")
        second = json.loads(socket.recv(timeout=5))
        assert (second["id"], second["data"]["kind"]) == ("1.3", "room.updated")
        socket.send("what a client says is of no interest")
        done(there, ann, "rooms/destroy_room", roomId=room)
        rest = [json.loads(message)["data"]["kind"] for message in socket]
        assert rest in (["room.closed", "end"], ["changes", "end"])


def test_a_websocket_is_refused_in_the_envelope(service: Service, here: str) -> None:
    ann = sign_up(service)
    query = pairs({"userId": ann.user_id, "token": ann.token, "roomId": "none"}, "")
    with connect(f"{here.replace('http', 'ws')}/base/v1/rooms/stream?{query}") as socket:
        assert json.loads(socket.recv(timeout=5))["errorCode"] == 2004


def test_a_lobby(service: Service, here: str, there: Service) -> None:
    ann, ben = sign_up(service), sign_up(service)
    category = fresh_name("c")
    with following(here, ben, category=category) as follower:
        assert follower.until(lambda told: len(told) == 1)[0]["rooms"] == []
        done(there, ann, "rooms/enter_room", roomId=ann.user_id, appId="0", category=category)
        told = follower.until(lambda told: told[-1]["kind"] == "lobby.room")
        assert told[-1]["room"]["nnUsers"] == 1
        done(there, ben, "rooms/enter_room", roomId=ann.user_id, appId="0")
        follower.until(lambda told: told[-1].get("room", {}).get("nnUsers") == 2)
        done(there, ann, "rooms/destroy_room", roomId=ann.user_id)
        follower.until(lambda told: told[-1] == {**told[-1], "kind": "lobby.gone", "roomId": ann.user_id})


def test_logging_out_ends_the_streams(service: Service, here: str, there: Service) -> None:
    ann, ben = sign_up(service), sign_up(service)
    done(there, ben, "rooms/enter_room", roomId=ben.user_id, appId="0")
    with following(here, ann, roomId=ben.user_id) as follower:
        follower.until(lambda told: len(told) == 1)
        done(there, ann, "auth_users/user_logout")
        began = time.monotonic()
        told = follower.until(lambda told: told[-1]["kind"] == "end")
        assert told[-1]["reason"] == "logged out"
        assert time.monotonic() - began < 5


@pytest.fixture(scope="module")
def fragile() -> Iterator[tuple[Topology, Redis]]:
    """Two processes whose Redis a test may kill."""
    with MariaDB() as mariadb, Redis() as redis, two_processes(mariadb, redis) as deployment:
        yield deployment, redis


def test_without_redis_it_takes_longer_and_nothing_is_missed(fragile: tuple[Topology, Redis]) -> None:
    deployment, redis = fragile
    here, there = deployment.urls[0], Service([deployment.urls[1]])
    ann = sign_up(there)
    done(there, ann, "rooms/enter_room", roomId="r", appId="0")
    with following(here, ann, roomId="r") as follower:
        follower.until(lambda told: len(told) == 1)
        redis.kill()
        for title in "abc":
            done(there, ann, "rooms/update_room", roomId="r", title=title)
        follower.until(lambda told: len(told) == 4)
        redis.heal()
        time.sleep(2)
        for title in "def":
            done(there, ann, "rooms/update_room", roomId="r", title=title)
        told = follower.until(lambda told: len(told) == 7)
        assert [body["title"] for body in told[1:]] == list("abcdef")
        assert versions(told) == list(range(3, 9))
