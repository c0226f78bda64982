"""docs/events.md tells every kind of event, with a body that is exactly what is sent."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from liveroom.events import KINDS, ClosedReason, LeftReason, encoded
from liveroom.services.readers import EndReason

TEXT = (Path(__file__).parent.parent / "docs" / "events.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^### `([a-z_.]+)`$(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(TEXT))


def test_every_kind_is_there_and_no_other() -> None:
    assert SECTIONS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_body_is_what_is_sent(kind: str) -> None:
    (body,) = re.findall(r"^```json\n(.*?)\n```$", SECTIONS[kind], re.MULTILINE | re.DOTALL)
    event = msgspec.json.decode(body, type=KINDS[kind])
    assert encoded(event).decode() == body


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_explained(kind: str) -> None:
    """Those with a plain name speak for themselves in the body."""
    plain = {"userId", "role", "avatar", "category", "title", "subject", "description", "cover", "tag", "tag2", "name"}
    for field in KINDS[kind].__struct_encode_fields__:
        assert field in plain or f"`{field}`" in TEXT, field


def test_every_reason_is_there() -> None:
    for reason in (*LeftReason, *ClosedReason):
        assert f"`{reason}`" in TEXT
    for ended in EndReason:
        assert f"`{ended}`" in TEXT or ended in {EndReason.SLOW, EndReason.GONE}
