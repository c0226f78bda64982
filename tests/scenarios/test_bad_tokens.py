"""Tokens that are none, or somebody else's: 204 from every call, and nobody comes to harm."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from calls import SOME_ROOM, WITH_TOKEN, Call, somebody_at
from envelopes import Account, ask, code_of, detail, is_open, keepalive_codes, sign_up
from wire import Service, Topology, soon

KNOWN_SECRETS = ("default", "secret", "")


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


@pytest.fixture
def somebody(service: Service) -> Iterator[Account]:
    """Whoever knocks with a wrong token, this account stays as it was."""
    account = somebody_at(service.urls)
    yield account
    assert keepalive_codes(service, account.user_id, account.token) == {0}
    assert not is_open(service, account, SOME_ROOM)


def packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def unpacked(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def made(header: dict[str, Any], claims: dict[str, Any], secret: str | None) -> str:
    """A JWT of our own; without a secret, one without a signature."""
    text = f"{packed(json.dumps(header).encode())}.{packed(json.dumps(claims).encode())}"
    if secret is None:
        return f"{text}."
    return f"{text}.{packed(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"


def renamed(header: dict[str, Any], algorithm: str) -> str:
    return packed(json.dumps({**header, "alg": algorithm}).encode())


def forgeries(token: str, other_user: str) -> dict[str, str]:
    head, body, signature = token.split(".")
    header, claims = unpacked(head), unpacked(body)
    other_claims = packed(json.dumps({**claims, "userId": other_user}).encode())
    expired = {**claims, "iat": int(time.time()) - 90 * 86400, "exp": int(time.time()) - 60 * 86400}
    later = packed(json.dumps({**claims, "exp": claims["exp"] + 86400}).encode())
    swapped = ("A" if signature[0] != "A" else "B") + signature[1:]
    return {
        "no token at all": "rubbish",
        "three parts of nothing": "a.b.c",
        "letters no token has": "令牌 🎤",
        "dots": "..",
        "cut": token[:-1],
        "longer": f"{token}.{token}",
        "wrong signature": f"{head}.{body}.{swapped}",
        "no signature": f"{head}.{body}.",
        "another user's name in it": f"{head}.{other_claims}.{signature}",
        "good for longer": f"{head}.{later}.{signature}",
        "alg none": made({**header, "alg": "none"}, claims, None),
        "alg None": made({**header, "alg": "None"}, claims, None),
        "alg none, signature kept": f"{renamed(header, 'none')}.{body}.{signature}",
        "alg HS512": f"{renamed(header, 'HS512')}.{body}.{signature}",
        "no alg": made({"typ": "JWT"}, claims, KNOWN_SECRETS[0]),
        "expired, and not ours": made(header, expired, KNOWN_SECRETS[0]),
        **{f"signed with {secret!r}": made(header, claims, secret) for secret in KNOWN_SECRETS},
        "claims that are no object": f"{head}.{packed(b'[]')}.{signature}",
        "deep claims": f"{head}.{packed(b'[' * 3000)}.{signature}",
    }


@pytest.mark.parametrize("call", WITH_TOKEN, ids=str)
def test_forged_tokens(service: Service, somebody: Account, call: Call) -> None:
    codes = {}
    for kind, token in forgeries(somebody.token, "10000000").items():
        body = ask(service, call.path, **{**call.parameters(somebody), "token": token})
        codes[kind] = body["errorCode"]
        assert somebody.user_id not in body["errorMessage"]
        assert somebody.token not in json.dumps(body)
    assert codes == dict.fromkeys(codes, call.bad_token)


@pytest.mark.parametrize("call", WITH_TOKEN, ids=str)
def test_a_token_of_another_user(service: Service, somebody: Account, call: Call) -> None:
    stranger = sign_up(service)
    asked = {**call.parameters(somebody), "token": stranger.token}
    assert code_of(service, call.path, **asked) == call.bad_token
    assert keepalive_codes(service, stranger.user_id, stranger.token) == {0}


@pytest.mark.parametrize("call", WITH_TOKEN, ids=str)
def test_ids_no_account_has(service: Service, somebody: Account, call: Call) -> None:
    for user_id in ("1", "-1", "010000000", f" {somebody.user_id}", f"0{somebody.user_id}", "1" * 20, "用户"):
        asked = {**call.parameters(somebody), "userId": user_id}
        assert code_of(service, call.path, **asked) == call.bad_token


def test_user_id_counts_more_than_apaas_user_id(service: Service, somebody: Account) -> None:
    stranger = sign_up(service)
    path = "auth_users/user_keepalive"
    mixed = {"userId": somebody.user_id, "apaasUserId": stranger.user_id}
    assert code_of(service, path, **mixed, token=somebody.token) == 0
    assert code_of(service, path, **mixed, token=stranger.token) == 204
    assert code_of(service, path, apaasUserId=somebody.user_id, token=somebody.token) == 0


def test_a_number_is_as_good_as_its_digits(service: Service, somebody: Account) -> None:
    path = "auth_users/user_query"
    assert code_of(service, path, userId=int(somebody.user_id), token=somebody.token) == 0


def test_a_deleted_account_is_unknown_not_unauthorised(service: Service) -> None:
    """iOS goes on beating for a user it deleted: 203 or 204 would throw it out."""
    account = sign_up(service)
    assert code_of(service, "auth_users/user_delete", **account.credentials) == 0
    soon(lambda: keepalive_codes(service, account.user_id, account.token) == {206})
    codes = {call.path: code_of(service, call.path, **call.parameters(account)) for call in WITH_TOKEN}
    gone_anyway = {"auth_users/user_delete": 0, "auth_users/user_logout": 0}
    assert codes == dict.fromkeys(codes, 206) | gone_anyway


def test_a_logged_out_token_deletes_nobody(service: Service) -> None:
    """On the process that answered the logout, from the very next request."""
    here = service.each()[0]
    account = sign_up(here)
    assert code_of(here, "auth_users/user_logout", **account.credentials) == 0
    assert code_of(here, "auth_users/user_delete", **account.credentials) == 204


def test_a_stranger_with_a_good_token_cannot_touch_a_room(service: Service) -> None:
    host, stranger = sign_up(service), sign_up(service)
    room = {"roomId": host.user_id}
    assert code_of(service, "rooms/enter_room", **host.credentials, **room, appId="0", title="mine") == 0

    assert code_of(service, "rooms/update_room", **stranger.credentials, **room, title="") == 98
    assert code_of(service, "rooms/destroy_room", **stranger.credentials, **room) == 98
    assert code_of(service, "rooms/leave_room", **stranger.credentials, **room) == 0

    row = detail(service, stranger, host.user_id)
    assert (row["title"], row["nnUsers"]) == ("mine", 1)
    assert code_of(service, "rooms/destroy_room", **host.credentials, **room) == 0
