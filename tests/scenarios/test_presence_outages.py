"""Redis dies, a shard of it, one process, all processes, while hundreds of apps beat: nobody is missed wrongly."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

import pytest
from envelopes import Account, code_of, data_of, keepalive_code, keepalive_codes, sign_up
from wire import Service, soon

from servers import MariaDB, Redis, RedisCluster
from service import Topology, two_processes

TOML = """
[tenants.default]
presence = {{ beat_timeout_s = {}, grace_s = 1 }}

[tenants.default.categories.brief]
evict_after_s = 1
close_after_s = 2

[tenants.default.categories.patient]
evict_after_s = 5
close_after_s = 5
"""
ROOMS, SEATS, PATIENT = 20, 10, 2
# Longer than a gap, and than anybody of a patient room is waited for.
DOWN_S = 8
# For what takes a few seconds, on a machine that does other things too.
WITHIN_S = 40
UNREACHED = (OSError, http.client.HTTPException)

# Written down by the database itself, in the transaction that makes it so: nothing is too short to be seen.
FACTS = {
    "offline": ("members", "user_id", "NEW.offline_since IS NOT NULL AND OLD.offline_since IS NULL"),
    "left": ("members", "user_id", "NEW.place IS NULL AND OLD.place IS NOT NULL"),
    "hidden": ("rooms", "room_id", "NEW.hidden_since IS NOT NULL AND OLD.hidden_since IS NULL"),
    "closed": ("rooms", "room_id", "NEW.state = 2 AND OLD.state <> 2"),
}
# Rooms whose counts are not those of their members.
WRONG_COUNTS = """
SELECT r.room_id, r.inside, r.joined, r.anchors_online, r.owner_online,
  COUNT(m.place) AS inside_now, COUNT(m.user_id) AS joined_now,
  COUNT(CASE WHEN m.offline_since IS NULL AND m.anchor AND m.user_id <> r.owned_by THEN m.place END) AS anchors_now,
  COUNT(CASE WHEN m.offline_since IS NULL AND m.user_id = r.owned_by THEN m.place END) AS owner_now
FROM rooms r LEFT JOIN members m USING (tenant, room_id, opening) WHERE r.state <> 2
GROUP BY r.tenant, r.room_id
HAVING inside <> inside_now OR joined <> joined_now OR anchors_online <> anchors_now OR owner_online <> owner_now
"""


class Background(threading.Thread):
    """Does something again and again until the end of the `with`, which raises what went wrong."""

    def __init__(self, once: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.once, self.ended = once, threading.Event()
        self.trouble: list[BaseException] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.ended.set()
        self.join()
        if self.trouble and kind is None:
            raise self.trouble[0]

    def run(self) -> None:
        while not self.ended.is_set() and not self.trouble:
            try:
                self.once()
            except BaseException as error:
                self.trouble.append(error)


class Apps(Background):
    """Each of them beats once a second, at the next process in turn, if need be at the one after."""

    def __init__(self, urls: list[str], accounts: list[Account]) -> None:
        super().__init__(self.beat_all)
        self.service, self.accounts = Service(urls), accounts
        self.dead: set[str] = set()
        self.codes: set[int] = set()
        self.slowest_s = 0.0

    def beat_all(self) -> None:
        began = time.monotonic()
        for at, account in enumerate(self.accounts, 1):
            if account.user_id not in self.dead:
                self.beat(account)
            self.ended.wait(max(0.0, began + at / len(self.accounts) - time.monotonic()))
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def beat(self, account: Account) -> None:
        for _ in self.service.urls:
            with suppress(*UNREACHED):
                self.codes.add(keepalive_code(self.service, account.user_id, account.token))
                return


class Viewer(Background):
    """Somebody without keepalives who looks at all rooms all the time, and goes in and out."""

    def __init__(self, crowd: Crowd, may_go: set[str], *, processes_die: bool = False) -> None:
        super().__init__(self.look_everywhere)
        self.crowd, self.may_go, self.looks = crowd, may_go | crowd.dead(), 0
        self.bearable = UNREACHED if processes_die else ()
        self.me = sign_up(crowd.service)
        self.turns = itertools.cycle(room for room in crowd.rooms if room[0].user_id not in self.may_go)

    def look_everywhere(self) -> None:
        for process in self.crowd.service.each():
            with suppress(*self.bearable):
                self.look(process, next(self.turns))
        self.ended.wait(0.05)

    def look(self, process: Service, room: list[Account]) -> None:
        room_id, names = room[0].user_id, {member.user_id for member in room}
        rooms = {of[0].user_id for of in self.crowd.rooms}
        mine = {**self.me.credentials, "appId": "0"}
        listed = data_of(process, "rooms/query_room", **mine, roomIds=sorted(rooms), limit=100)
        assert rooms - {row["roomId"] for row in listed} <= self.may_go
        assert code_of(process, "rooms/enter_room", **mine, roomId=room_id, role="audience") == 0
        inside = seats(process, self.me, room_id)
        assert code_of(process, "rooms/leave_room", **mine, roomId=room_id) == 0
        assert names - set(inside) <= self.may_go
        assert {name for name, online in inside.items() if not online} <= self.may_go
        self.looks += 1


class Crowd:
    """Rooms of ten, the last two patient: first the owner, last somebody whose app never beats."""

    def __init__(self, topology: Topology, mariadb: MariaDB, redis: Redis | RedisCluster, beat_timeout_s: int) -> None:
        self.service, self.processes, self.redis = Service.on(topology), topology.services, redis
        self.mariadb, self.beat_timeout_s = mariadb, beat_timeout_s
        with ThreadPoolExecutor(8) as pool:
            people = list(pool.map(lambda _: sign_up(self.service), range(ROOMS * SEATS)))
            self.rooms = [people[at : at + SEATS] for at in range(0, len(people), SEATS)]
            assert set(pool.map(lambda at: self.enter(at, 0), range(ROOMS))) == {0}
            assert set(pool.map(lambda at: self.enter(*divmod(at, SEATS)), range(ROOMS * SEATS))) == {0}
        beating = [member for room in self.rooms for member in room[:-1]]
        self.names = {member.user_id for member in people}
        self.apps = [Apps(topology.urls, beating[at::4]) for at in range(4)]
        self.rows("CREATE TABLE facts (what VARCHAR(10), who VARCHAR(48), at DECIMAL(20, 3))")
        for what, (table, who, condition) in FACTS.items():
            fact = f"SELECT '{what}', NEW.{who}, UNIX_TIMESTAMP(SYSDATE(3)) FROM DUAL WHERE {condition}"
            self.rows(f"CREATE TRIGGER fact_{what} AFTER UPDATE ON {table} FOR EACH ROW INSERT INTO facts {fact}")

    def rows(self, sql: str) -> list[list[str]]:
        answer = self.mariadb.execute(sql, self.processes[0].env["MYSQL_DB"])
        return [line.split("\t") for line in answer.splitlines()]

    def facts(self) -> dict[tuple[str, str], float]:
        """What became of whom, since facts were deleted, and when."""
        rows = self.rows("SELECT what, who, at FROM facts")
        return {(what, who): float(at) for what, who, at in rows if who in self.names}

    def enter(self, at: int, seat: int) -> int:
        owner, member = self.rooms[at][0], self.rooms[at][seat]
        texts = {"appId": "0", "category": "patient" if at >= ROOMS - PATIENT else "brief"}
        role = "audience" if seat else "anchor"
        wish = {**member.credentials, **texts, "roomId": owner.user_id, "role": role}
        return code_of(self.service, "rooms/enter_room", **wish)

    def dead(self, *more: str) -> set[str]:
        """Whose apps are dead, from now on these too."""
        for some in self.apps:
            some.dead |= set(more)
        return set(self.apps[0].dead)

    def fate(self, leavers: set[str]) -> set[tuple[str, str]]:
        """What has to become of those who leave, and of nobody else."""
        owners = {room[0].user_id for room in self.rooms}
        of_owner, of_audience = ("offline", "hidden", "closed"), ("offline", "left")
        return {(what, who) for who in leavers for what in (of_owner if who in owners else of_audience)}

    def only_these_go(self, leavers: set[str]) -> dict[tuple[str, str], float]:
        """Wait until they are gone, and see that nothing else happened; answers when what happened."""
        expected = self.fate(leavers)

        def so() -> bool:
            facts = set(self.facts())
            wrong, slowest = sorted(facts - expected), max(some.slowest_s for some in self.apps)
            assert not wrong, f"{len(wrong)} facts: {wrong[:5]}, with a beat every {slowest:.1f} s"
            return facts == expected

        soon(so, WITHIN_S)
        assert self.rows(WRONG_COUNTS) == []
        assert {code for some in self.apps for code in some.codes} == {0}
        viewer = sign_up(self.service)
        for process in self.service.each():
            for room in self.rooms:
                if room[0].user_id not in self.dead():
                    staying = [member.user_id for member in room if member.user_id not in self.dead()]
                    inside = seats(process, viewer, room[0].user_id)
                    assert {who: inside[who] for who in inside if who in self.names} == dict.fromkeys(staying, 1)
        return self.facts()


def seats(service: Service, asker: Account, room_id: str) -> dict[str, int]:
    rows = data_of(service, "rooms/list_users", **asker.credentials, roomId=room_id, limit=100)
    return {row["userId"]: row["online"] for row in rows}


@contextmanager
def beating(server: MariaDB, redis: Redis | RedisCluster, beat_timeout_s: int) -> Iterator[Crowd]:
    """Two processes, and rooms full of people whose apps beat all the time."""
    with ExitStack() as stack:
        topology = stack.enter_context(two_processes(server, redis, toml=TOML.format(beat_timeout_s)))
        crowd = Crowd(topology, server, redis, beat_timeout_s)
        for some in crowd.apps:
            stack.enter_context(some)
        # Until every process that may come later knows who beats.
        beating = [[str(ROOMS * (SEATS - 1))]]
        soon(lambda: crowd.rows("SELECT COUNT(*) FROM sessions WHERE beats = 1") == beating, WITHIN_S)
        yield crowd


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    with MariaDB() as mariadb:
        yield mariadb


@pytest.fixture(scope="module")
def crowd(server: MariaDB) -> Iterator[Crowd]:
    with Redis() as redis, beating(server, redis, 4) as people:
        yield people


@pytest.fixture(scope="module")
def a_shard_dies(server: MariaDB) -> Iterator[Future[None]]:
    """On a deployment of its own, while the other tests go on."""

    def play() -> None:
        with RedisCluster() as cluster, beating(server, cluster, 6) as people:
            # Else Redis itself refuses everything two seconds later.
            for node in cluster.nodes:
                assert node.ask("CONFIG SET cluster-require-full-coverage no") == "+OK\r\n"
            comes_back_empty(people, cluster.owner("liveroom:presence:{00}"), 8)

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(play)


def comes_back_empty(crowd: Crowd, victim: Redis, away_s: float) -> None:
    """Keepalives are refused meanwhile and taken afterwards, all else goes on, and nobody is missed wrongly."""
    probe = crowd.apps[0].accounts[-1]
    leavers = {crowd.rooms[0][0].user_id, *(room[1].user_id for room in crowd.rooms[1:6])}

    def everybody_hears(code: int) -> bool:
        return keepalive_codes(crowd.service, probe.user_id, probe.token) == {code}

    with Viewer(crowd, leavers) as viewer:
        crowd.rows("DELETE FROM facts")
        victim.kill()
        killed = time.monotonic()
        crowd.dead(*leavers)
        soon(lambda: everybody_hears(100), WITHIN_S)
        while time.monotonic() < killed + away_s:
            assert everybody_hears(100)
        looks, back = viewer.looks, time.time()
        assert looks > 0
        crowd.redis.start()
        soon(lambda: everybody_hears(0), WITHIN_S)
        time.sleep(1)
        for some in crowd.apps:
            assert some.codes == {0, 100}
            some.codes = set()
        facts = crowd.only_these_go(leavers)
        assert min(facts.values()) >= back + (crowd.beat_timeout_s if victim is crowd.redis else 0)
        assert viewer.looks > looks


def test_redis_comes_back_empty(crowd: Crowd, a_shard_dies: Future[None]) -> None:
    assert isinstance(crowd.redis, Redis)
    comes_back_empty(crowd, crowd.redis, 4)


def test_one_of_two_processes_dies(crowd: Crowd) -> None:
    """Whoever beats at the other one, or goes on there, is not missed, and no count is wrong."""
    here, there = crowd.apps[:2], crowd.apps[2:]
    at_first = {member.user_id for some in here for member in some.accounts}
    rooms = [[member.user_id for member in room if member.user_id in at_first] for room in crowd.rooms[6:12]]
    leavers = {room[at] for room in rooms for at in (0, -1)}
    with ExitStack() as stack:
        for some, url in zip(crowd.apps, [crowd.service.urls[0]] * 2 + [crowd.service.urls[1]] * 2, strict=True):
            some.service = Service([url])
        for _ in range(3):
            stack.enter_context(Viewer(crowd, leavers, processes_die=True))
        time.sleep(1.5)
        crowd.rows("DELETE FROM facts")
        crowd.processes[0].kill()
        for some in here:
            some.service = there[0].service
        crowd.dead(*leavers)
        soon(lambda: set(crowd.facts()) >= crowd.fate(leavers), WITHIN_S)
        crowd.processes[0].start()
        crowd.processes[0].wait_ready()
        crowd.only_these_go(leavers)
    for some in crowd.apps:
        some.service = Service(crowd.service.urls)


def test_all_processes_die(crowd: Crowd) -> None:
    """For longer than the store goes unwatched: also those are waited for who were offline already."""
    patient = crowd.rooms[-PATIENT:]
    dozing = {patient[0][0].user_id, patient[1][1].user_id}
    leavers = {crowd.rooms[12][0].user_id, *(room[1].user_id for room in crowd.rooms[13:16])}
    asleep = {("offline", who) for who in dozing} | {("hidden", patient[0][0].user_id)}
    with Viewer(crowd, leavers | dozing, processes_die=True):
        crowd.rows("DELETE FROM facts")
        crowd.dead(*dozing)
        soon(lambda: set(crowd.facts()) == asleep, WITHIN_S)
        for process in crowd.processes:
            process.kill()
        killed = time.monotonic()
        crowd.rows("DELETE FROM facts")
        crowd.dead(*leavers)
        for some in crowd.apps:
            some.dead -= dozing
        time.sleep(max(0.0, killed + DOWN_S - time.monotonic()))
        back = time.time()
        for process in crowd.processes:
            process.start()
        for process in crowd.processes:
            process.wait_ready()
        facts = crowd.only_these_go(leavers)
        assert min(facts.values()) >= back + crowd.beat_timeout_s


def test_a_shard_comes_back_empty(a_shard_dies: Future[None]) -> None:
    """Of a cluster whose other shards go on: who is kept there is not missed either."""
    a_shard_dies.result(3 * WITHIN_S)
