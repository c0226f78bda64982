"""UserSig and PrivateMapKey against what the vendor's own implementations make."""

from __future__ import annotations

import base64
import json
import zlib

import pytest

from liveroom.services import usersig

APP = 1400000000
KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
USER = "xiaojun"
NOW_S = 1700000000
EXPIRE_S = 15552000
PLAIN = "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4="
PYTHON = (
    "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDi"
    "JZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__"
)
NODE = (
    "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogMiUZOamKlkZmqOKplYUZBaBxE1N"
    "TY3gosWZ6UpWSj5ljuYp*p7l5unBxXnF2WVhVU4uAf7Ozi5JpX7O5SbuHuUhzgZJmQXaTia2SrUAohcx8g__"
)
# room, privileges, userbuf in hex and base64, TLS.sig
ROOMS = [
    (
        10000,
        "0000077869616f6a756e53724e000000271066413f00000000ff00000000",
        "AAAHeGlhb2p1blNyTgAAACcQZkE/AAAAAP8AAAAA",
        "y9Avb5xwHgIgoABbGakLaE0xs+v/dLcIPegbWfcbRLI=",
    ),
    (
        "1000000040",
        "0100077869616f6a756e53724e000000000066413f00000000ff00000000000a31303030303030303430",
        None,
        "uupaOmIqiVUsVoCDvmakmGU86GEQBV0Ie6Q+9GFbowM=",
    ),
]


def signed(userbuf: bytes = b"") -> str:
    return usersig.sign(APP, KEY, USER, NOW_S, EXPIRE_S, userbuf)


def test_a_plain_ticket() -> None:
    ticket = usersig.read(signed())
    assert ticket == {
        "TLS.ver": "2.0",
        "TLS.identifier": USER,
        "TLS.sdkappid": APP,
        "TLS.time": NOW_S,
        "TLS.expire": EXPIRE_S,
        "TLS.sig": PLAIN,
    }


@pytest.mark.parametrize("published", [PYTHON, NODE], ids=["python", "node"])
def test_what_the_vendor_makes_is_what_we_make(published: str) -> None:
    assert usersig.read(published) == usersig.read(signed())
    assert usersig.verify(published, APP, KEY, USER, NOW_S)
    packed = zlib.decompress(base64.b64decode(published.replace("*", "+").replace("-", "/").replace("_", "=")))
    assert json.loads(packed) == usersig.read(published)


@pytest.mark.parametrize(("room", "in_hex", "in_base64", "sig"), ROOMS, ids=["number", "text"])
def test_a_private_map_key(room: int | str, in_hex: str, in_base64: str | None, sig: str) -> None:
    userbuf = usersig.map_buffer(APP, USER, room, 255, NOW_S + EXPIRE_S)
    assert userbuf.hex() == in_hex
    ticket = usersig.read(signed(userbuf))
    assert ticket["TLS.userbuf"] == base64.b64encode(bytes.fromhex(in_hex)).decode()
    assert in_base64 in (None, ticket["TLS.userbuf"])
    assert ticket["TLS.sig"] == sig
    assert usersig.verify(signed(userbuf), APP, KEY, USER, NOW_S)


def test_the_layout_of_a_map_buffer() -> None:
    assert len(usersig.map_buffer(APP, USER, 10000, 42, NOW_S)) == 23 + len(USER)
    assert len(usersig.map_buffer(APP, USER, "a-room", 42, NOW_S)) == 25 + len(USER) + len("a-room")
    assert usersig.map_buffer(APP, USER, "", 42, NOW_S) == usersig.map_buffer(APP, USER, 0, 42, NOW_S)
    assert usersig.map_buffer(2**32 - 1, USER, 2**32 - 1, 2**32 - 1, 2**32 - 1).count(b"\xff") == 16


def test_a_ticket_fits_into_a_url() -> None:
    for user in ("a", "acme-10000001", "~" * 32, "with blank"):
        sig = usersig.sign(APP, KEY, user, NOW_S, EXPIRE_S)
        assert set(sig) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-_")
        assert usersig.read(sig)["TLS.identifier"] == user


def test_a_ticket_is_good_until_it_expires() -> None:
    assert usersig.verify(signed(), APP, KEY, USER, NOW_S + EXPIRE_S - 1)
    assert not usersig.verify(signed(), APP, KEY, USER, NOW_S + EXPIRE_S)


def test_a_ticket_is_for_one_user_of_one_application() -> None:
    assert not usersig.verify(signed(), APP + 1, KEY, USER, NOW_S)
    assert not usersig.verify(signed(), APP, KEY, "xiaoming", NOW_S)
    assert not usersig.verify(signed(), APP, KEY.upper(), USER, NOW_S)
    ticket = usersig.read(signed()) | {"TLS.expire": 2 * EXPIRE_S}
    packed = base64.b64encode(zlib.compress(json.dumps(ticket).encode())).decode()
    assert not usersig.verify(packed.replace("+", "*").replace("/", "-").replace("=", "_"), APP, KEY, USER, NOW_S)


@pytest.mark.parametrize("text", ["", "x", "eJ", "😀", "a" * 100, PLAIN, base64.b64encode(b"{}").decode(), PYTHON[:-9]])
def test_what_is_no_ticket(text: str) -> None:
    assert not usersig.verify(text, APP, KEY, USER, NOW_S)
    with pytest.raises(ValueError, match="not a UserSig"):
        usersig.read(text)
