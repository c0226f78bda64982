"""Whatever comes in: a dict or a refusal with 98, then a struct or a refusal with the call's code. Never a fault."""

from __future__ import annotations

import json
import string
from typing import Any
from unittest.mock import MagicMock
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Struct

from liveroom.endpoints.parameters import Reader, layers
from liveroom.endpoints.routes import Route, routes
from liveroom.errors import Code, Refusal

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ROUTES = routes(MagicMock())
READERS = [(route, Reader(route.params, route.code)) for route in ROUTES]
NAMES = sorted({name for route in ROUTES for name in route.params.__struct_encode_fields__})
names = st.sampled_from(NAMES) | st.sampled_from([f"{name}[]" for name in NAMES]) | st.text(max_size=8)
special = ["", "0", "-1", "10000000", "2024-01-01 00:00:00", "0000-00-00 00:00:00", "9999-12-31 23:59:59"]
texts = st.text(max_size=40) | st.sampled_from(special)
scalars = st.none() | st.booleans() | st.integers() | st.integers(-(10**30), 10**30) | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=8
)
objects = st.dictionaries(names, values, max_size=8)
urlencoded = st.lists(st.tuples(names, texts), max_size=8).map(lambda pairs: urlencode(pairs).encode())
half_json = objects.map(lambda value: json.dumps(value).encode()).flatmap(
    lambda text: st.integers(0, len(text)).map(lambda cut: text[:cut])
)
junk = st.lists(st.sampled_from([b"%", b"FF", b"=", b"&", b"[]", b"{", b"}", b'"', b"\\u", b"d800", b"\xff", b"a"]))
bodies = (
    st.binary(max_size=200)
    | urlencoded
    | objects.map(lambda value: json.dumps(value).encode())
    | half_json
    | junk.map(b"".join)
    | st.integers(1, 20_000).map(lambda depth: b'{"a":' * depth)
    | st.integers(1, 6_000).map(lambda digits: b'{"limit":' + b"9" * digits + b"}")
)
content_types = st.sampled_from([b"", b"application/json", b"multipart/form-data"]) | st.binary(max_size=30)


@settings(calm, max_examples=300)
@given(st.sampled_from(["GET", "POST"]), bodies, content_types, bodies)
@example("POST", b"", b"", b'{"roomId": "\\ud800"}')
@example("POST", b"", b"application/json", b'{"a": ' * 3_000)
@example("POST", b"\xff", b"", b"\x00{")
def test_merging_and_reading(method: str, query: bytes, content_type: bytes, body: bytes) -> None:
    found = merging(method, query, content_type, body)
    if found is Code.SystemVerifyError:
        return
    assert isinstance(found, list)
    assert all(type(layer) is dict for layer in found)
    assert all(type(name) is str for layer in found for name in layer)
    for route, reader in READERS:
        check(route, reader, *found)


@settings(calm, max_examples=200)
@given(st.sampled_from(READERS), objects)
def test_reading(call: tuple[Route, Reader], found: dict[str, Any]) -> None:
    check(*call, found)


def check(route: Route, reader: Reader, *found: dict[str, Any]) -> None:
    """A struct whose texts can be stored, or a refusal with this call's code."""
    wish = reading(reader, *found)
    if wish is route.code:
        return
    assert type(wish) is route.params
    for name in wish.__struct_fields__:
        value = getattr(wish, name)
        for item in value if isinstance(value, list) else [value]:
            assert item is None or item is UNSET or type(item) in (str, int)
            str(item).encode()


def merging(method: str, query: bytes, content_type: bytes, body: bytes) -> list[dict[str, Any]] | Code:
    try:
        return layers(method, query, content_type, body)
    except Refusal as refusal:
        return refusal.code


def reading(reader: Reader, *found: dict[str, Any]) -> Struct | Code:
    try:
        wish: Struct = reader.read(*found)
    except Refusal as refusal:
        return refusal.code
    return wish


plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
wishes = st.dictionaries(st.sampled_from(NAMES), plain | st.integers(-(10**15), 10**15), max_size=10)


@settings(calm, max_examples=300)
@given(wishes, st.sampled_from(READERS), st.data())
def test_one_meaning_however_it_comes(wish: dict[str, Any], call: tuple[Route, Reader], data: st.DataObject) -> None:
    """JSON, form, query, or some here and some there: the same scalars are the same wish."""
    route, reader = call
    form = urlencode(wish, quote_via=quote).encode()
    plus = urlencode(wish).encode()
    as_json = json.dumps(wish).encode()
    as_texts = json.dumps({name: str(value) for name, value in wish.items()}, ensure_ascii=False).encode()
    expected = reading(reader, *layers("POST", b"", b"application/json", as_json))
    here = data.draw(st.sets(st.sampled_from(sorted(wish)))) if wish else set()
    query = urlencode({name: value for name, value in wish.items() if name in here}).encode()
    there = json.dumps({name: value for name, value in wish.items() if name not in here}).encode()
    for method, asked, body in (
        ("POST", b"", as_texts),
        ("POST", b"", form),
        ("POST", b"", plus),
        ("POST", form, b""),
        ("POST", form, b"{}"),
        ("GET", form, b""),
        ("GET", plus, b"[1"),
        ("GET", b"", as_json),
        ("POST", query, there),
    ):
        assert reading(reader, *layers(method, asked, b"", body)) == expected
    clearable = getattr(route.params, "CLEARABLE", ())
    filled = {name: "other" if value == "" and name not in clearable else value for name, value in wish.items()}
    others = json.dumps(dict.fromkeys(wish, "other")).encode()
    assert reading(reader, *layers("POST", form, b"", others)) == reading(reader, filled), "the query wins"


@pytest.mark.parametrize("name", NAMES)
def test_names_are_plain_letters(name: str) -> None:
    """So that a form needs no escaping, and `name[]` is no other name."""
    assert set(name) <= set(string.ascii_letters + string.digits)
