"""Query and body become one set of parameters: by name, the query wins, the body's kind told by its first byte."""

from __future__ import annotations

from typing import Any

import pytest

from liveroom.endpoints.parameters import layers
from liveroom.errors import Code, Refusal

FORM, JSON = b"application/x-www-form-urlencoded", b"application/json"


def merged(method: str, query: bytes, content_type: bytes, body: bytes) -> dict[str, Any]:
    """What is read of a name that is not empty."""
    values: dict[str, Any] = {}
    for layer in reversed(layers(method, query, content_type, body)):
        values |= layer
    return values


def found(method: str, query: bytes, content_type: bytes, body: bytes) -> dict[str, Any] | Code:
    """The parameters, or the code of the refusal."""
    try:
        return merged(method, query, content_type, body)
    except Refusal as refusal:
        return refusal.code


def unreadable(method: str, query: bytes, content_type: bytes, body: bytes) -> bool:
    return found(method, query, content_type, body) is Code.SystemVerifyError


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        (b"", b"", {}),
        (b"a=1", b"", {"a": ["1"]}),
        (b"", b"a=1", {"a": ["1"]}),
        (b"", b'{"a": 1}', {"a": 1}),
        (b"a=1", b"a=2&b=3", {"a": ["1"], "b": ["3"]}),
        (b"a=1", b'{"a": 2, "b": [3]}', {"a": ["1"], "b": [3]}),
        (b"a=1&a=2&a=", b"", {"a": ["1", "2", ""]}),
        (b"a[]=1&a[]=2", b"", {"a": ["1", "2"]}),
        (b"a%5B%5D=1&a=2", b"", {"a": ["1", "2"]}),
        (b"", b'{"a[]": ["1", "2"]}', {"a": ["1", "2"]}),
        (b"a=1,2", b"", {"a": ["1,2"]}),
        (b"a=%E7%9B%B4+%2B&b=%F0%9F%8E%A4", b"", {"a": ["直 +"], "b": ["🎤"]}),
        (b"a", b"", {"a": [""]}),
        (b"&&a=1&&", b"&", {"a": ["1"]}),
        (b"a=b=c", b"", {"a": ["b=c"]}),
        (b"A=1", b"a=2", {"A": ["1"], "a": ["2"]}),
        (b"a=1;b=2", b"", {"a": ["1;b=2"]}),
        (b"", b' \r\n\t{"a": null} \n', {"a": None}),
        (b"a=%zz", b"", {"a": ["%zz"]}),
    ],
)
def test_merged(method: str, query: bytes, body: bytes, expected: dict[str, Any]) -> None:
    for content_type in (b"", FORM, JSON, JSON + b"; charset=utf-8", b"text/plain"):
        assert merged(method, query, content_type, body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[",
        b"[]",
        b'[{"a": 1}]',
        b'{"a": 1}{',
        b'{"a": 01}',
        b'{"a": NaN}',
        b"{'a': 1}",
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"a=%FF",
        b"a=\xff",
        b"%ED%A0%80=1",
        b"a=%C0%AF",
        b"&".join(b"a%d=1" % number for number in range(2_000)),
    ],
)
def test_a_body_that_cannot_be_read(body: bytes) -> None:
    """Refused on POST; on GET, where it does not belong, as if it were not there."""
    assert unreadable("POST", b"a=1", b"", body)
    assert merged("GET", b"a=1", b"", body) == {"a": ["1"]}


@pytest.mark.parametrize("query", [b"a=%FF", b"a=\xff", b"%FF", b"a=%ED%A0%80", b"&".join([b"a=1"] * 2_000)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_that_cannot_be_read(method: str, query: bytes) -> None:
    assert unreadable(method, query, b"", b"")
    assert unreadable(method, query, JSON, b'{"a": 1}')


@pytest.mark.parametrize("kind", [b"multipart/form-data; boundary=x", b"Multipart/Mixed", b" multipart/form-data"])
@pytest.mark.parametrize("body", [b"--x\r\n", b"a=1", b'{"a": 1}'])
def test_multipart(kind: bytes, body: bytes) -> None:
    assert unreadable("POST", b"", kind, body)
    assert merged("GET", b"a=1", kind, body) == {"a": ["1"]}
    assert merged("POST", b"a=1", kind, b"") == {"a": ["1"]}


def test_numbers_beyond_all_bounds() -> None:
    """They are no fault of the service, whatever they are taken for."""
    for number in (b"9" * 40, b"-" + b"9" * 5_000, b"1e400", b"9" * 1_000_000):
        values = found("POST", b"", JSON, b'{"a": ' + number + b"}")
        assert values is Code.SystemVerifyError or (isinstance(values, dict) and values.keys() == {"a"})
