"""What many calls share on the wire: who calls, the forms of ids, texts, pages and times."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from time import gmtime, strftime
from typing import Annotated

from msgspec import Meta, Struct

_UTC = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)

RoomId = Annotated[
    str,
    Meta(
        # Printable ASCII without blank and comma; the lookahead forbids what `$` lets pass in Python.
        pattern=r"^(?!@TGS#)[!-+\--~]{1,48}$(?![\s\S])",
        description="1 to 48 printable ASCII characters without comma, not starting with `@TGS#`",
        examples=["10002000"],
    ),
]
Category = Annotated[str, Meta(max_length=32, description="Free text", examples=["mlvb-show-live"])]
Role = Annotated[str, Meta(max_length=32, description="Free text", examples=["anchor"])]
Title = Annotated[str, Meta(max_length=200, examples=["A live room"])]
Cover = Annotated[str, Meta(max_length=512, description="URL of an image", examples=["https://example.com/a.png"])]
Subject = Annotated[str, Meta(max_length=64, examples=["music"])]
Description = Annotated[str, Meta(max_length=512, examples=["Songs of the nineties"])]
Offset = Annotated[int, Meta(ge=0, le=1_000_000, description="Rows to skip", examples=[0])]
Limit = Annotated[int, Meta(ge=0, le=100, description="Rows at most; 0 is the default of 10", examples=[10])]
AppId = Annotated[str, Meta(description="Any value; must be present, is not looked at", examples=["1400000000"])]
Utc = Annotated[str, Meta(description="UTC, `YYYY-MM-DD HH:MM:SS`", examples=["2026-01-31 08:00:00"])]


class Named(Struct, rename="camel", kw_only=True):
    """A call that may name a tenant."""

    apaas_app_id: Annotated[str, Meta(description="The tenant; absent or empty: the default one", examples=[""])] = ""


class Signed(Named, rename="camel", kw_only=True):
    """A call by an account: its id, under either name, and a token of one of its sessions."""

    user_id: Annotated[str, Meta(description="The caller", examples=["10002000"])] = ""
    apaas_user_id: Annotated[
        str, Meta(description="The caller, under its other name; `userId` counts", examples=["10002000"])
    ] = ""
    token: Annotated[str, Meta(description="Token of a login", examples=["eyJhbGciOiJIUzI1NiJ9.e30.c2ln"])] = ""


class Paged(Signed, rename="camel", kw_only=True):
    """A call that reads a page of a list."""

    offset: Offset = 0
    limit: Limit = 10

    @property
    def most(self) -> int:
        return self.limit or 10


@lru_cache(4096)
def utc(second: int) -> str:
    """A moment (Unix seconds) as the wire shows it."""
    return strftime("%Y-%m-%d %H:%M:%S", gmtime(second))


def moment(text: str | None) -> int | None:
    """A time of the wire in milliseconds; ValueError when it is none."""
    if text is None:
        return None
    if not _UTC.fullmatch(text):
        raise ValueError(text)
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()) * 1000
