"""Merged parameters become a request struct: scalars normalised, lists, absence, and one code for all that is amiss."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from liveroom.endpoints.parameters import Reader, layers
from liveroom.errors import Code, Refusal

Short = Annotated[str, Meta(max_length=4)]
Wide = Annotated[int, Meta(ge=0, le=100)]


class Wish(Struct, rename="camel", kw_only=True):
    """Every kind of field there is."""

    CLEARABLE: ClassVar = frozenset({"title"})

    must: str
    plain_text: str = "default"
    maybe: Short | None = None
    title: Short | UnsetType = UNSET
    category: Short | UnsetType = UNSET
    count: Wide = 10
    names: Annotated[list[Short], Meta(max_length=3)] | None = None


class Strict(Wish, rename="camel", kw_only=True):
    """With a condition of its own."""

    def __post_init__(self) -> None:
        if self.must == "never":
            raise ValueError("never")


reader = Reader(Wish, Code.RoomQueryParams)


def read(**values: Any) -> Wish:
    wish: Wish = reader.read({"must": "x", **values})
    return wish


def is_refused(values: dict[str, Any], by: Reader = reader) -> bool:
    with pytest.raises(Refusal) as caught:
        by.read(values)
    return caught.value.code is Code.RoomQueryParams


@pytest.mark.parametrize("value", ["7", 7])
def test_numbers_and_texts_of_digits_are_the_same(value: object) -> None:
    assert read(must=value, count=value, names=value) == Wish(must="7", count=7, names=["7"])


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-0", 0), ("007", 7), ("100", 100), (0, 0)])
def test_integers(text: object, number: int) -> None:
    assert read(count=text).count == number


@pytest.mark.parametrize("wrong", ["1.5", "1e1", "1_0", "+1", "0x1", "１", "١", " 1", "1 ", "--1", "-", "ten", "-1"])
def test_texts_that_are_no_integers(wrong: str) -> None:
    assert is_refused({"must": "x", "count": wrong})


@pytest.mark.parametrize("wrong", [101, -1, 10**19, 10**400, "9" * 20, "9" * 21, "9" * 5_000])
def test_integers_out_of_range(wrong: object) -> None:
    assert is_refused({"must": "x", "count": wrong})


@pytest.mark.parametrize("name", ["must", "plainText", "maybe", "title", "category", "count"])
@pytest.mark.parametrize("wrong", [True, False, 1.5, 1.0, float("inf"), {}, {"a": 1}, [], ["x"], [1], [[]]])
def test_what_is_no_scalar(name: str, wrong: object) -> None:
    assert is_refused({"must": "x", name: wrong})


@pytest.mark.parametrize("absent", ["", None])
def test_absence(absent: object) -> None:
    given = dict.fromkeys(("plainText", "maybe", "category", "count", "names"), absent)
    assert read(**given) == Wish(must="x")
    assert is_refused({"must": absent})
    assert is_refused({})


def test_a_present_empty_text_clears_what_may_be_cleared() -> None:
    assert read(title="").title == ""
    assert read(title=None).title is UNSET
    assert read(category="").category is UNSET


def test_zero_is_present() -> None:
    assert read(must=0, maybe=0, count=0) == Wish(must="0", maybe="0", count=0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], None),
        ([""], None),
        ([None], None),
        ("", None),
        ("a", ["a"]),
        (1, ["1"]),
        (["a", 2, "", None], ["a", "2"]),
        (["a,b"], ["a,b"]),
        (["a", "b", "c"], ["a", "b", "c"]),
    ],
)
def test_lists(given: object, expected: list[str] | None) -> None:
    assert read(names=given).names == expected


@pytest.mark.parametrize("wrong", [[True], [1.5], [{}], [["a"]], {"a": 1}, {}, True, 1.5, ["x"] * 4, ["12345"]])
def test_what_is_no_list(wrong: object) -> None:
    assert is_refused({"must": "x", "names": wrong})


def test_repeated_in_a_query() -> None:
    """A scalar takes the last, a list all."""
    query = b"must=a&must=b&count=1&count=2&names=a&names[]=b&maybe=x&maybe=&title=x&title="
    wish = reader.read(*layers("GET", query, b"", b""))
    assert wish == Wish(must="b", count=2, names=["a", "b"], title="")


FORM = b"must=b&count=7&names=b&maybe=b&title=b&category=b"
JSON = b'{"must": "b", "count": 7, "names": ["b"], "maybe": "b", "title": "b", "category": "b"}'


@pytest.mark.parametrize("body", [FORM, JSON], ids=["form", "JSON"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_empty_in_the_query_is_read_from_the_body(method: str, body: bytes) -> None:
    """For empty is absent, except where an empty text clears."""
    empty = reader.read(*layers(method, b"must=&count=&names=&maybe=&title=&category=", b"", body))
    assert empty == Wish(must="b", count=7, names=["b"], maybe="b", title="", category="b")
    at_last = reader.read(*layers(method, b"must=q&must=&count=1&count=&names=q&names=&maybe=q&maybe=", b"", body))
    assert at_last == Wish(must="b", count=7, names=["q"], maybe="b", title="b", category="b")
    given = reader.read(*layers(method, b"must=&must=q&count=0&names[]=&names[]=q&title=q", b"", body))
    assert given == Wish(must="q", count=0, names=["q"], maybe="b", title="q", category="b")
    assert reader.read(*layers(method, b"must=q&title=", b"", b"title=")).title == ""
    assert is_refused({"must": ""})


@pytest.mark.parametrize(("text", "fits"), [("x" * 4, True), ("直播🎤🎤", True), ("x" * 5, False), ("🎤" * 5, False)])
def test_lengths_are_in_code_points(text: str, fits: bool) -> None:
    if fits:
        assert read(maybe=text).maybe == text
    else:
        assert is_refused({"must": "x", "maybe": text})


def test_unknown_names_are_ignored_and_names_are_case_sensitive() -> None:
    assert read(Maybe="x", plain_text="x", PLAINTEXT="x", nobody={"a": [1.5]}) == Wish(must="x")


def test_nothing_is_trimmed() -> None:
    assert read(must=" x\t", maybe=" \u0000 ") == Wish(must=" x\t", maybe=" \u0000 ")


def test_a_condition_of_the_struct() -> None:
    strict = Reader(Strict, Code.RoomQueryParams)
    assert strict.read({"must": "always"}) == Strict(must="always")
    assert is_refused({"must": "never"}, strict)
