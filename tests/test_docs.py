"""The documentation names everything there is, nothing that is not, and its links lead somewhere."""

from __future__ import annotations

import asyncio
import re
from functools import cache
from pathlib import Path
from unittest.mock import MagicMock
from urllib.parse import unquote

import pytest

from liveroom import __version__, app, config
from liveroom.endpoints.routes import Route, routes
from liveroom.errors import Code

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh-CN.md")
CALLS = "docs/calls.md"
NEEDED = (*READMES, CALLS, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
ROUTES = routes(MagicMock())
NAMES = sorted(name for names in config.setting_names().values() for name in names)
PAGES = ("/", "/base/v1/", "/helloworld", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"")
CODE = re.compile(r"`[^`\n]*`")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def documents() -> list[Path]:
    """All Markdown of the repository."""
    found = [*ROOT.glob("*.md"), *(path for part in ("docs", "src", "tests") for path in (ROOT / part).rglob("*.md"))]
    return sorted(path.relative_to(ROOT) for path in found)


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(name: str) -> list[list[str]]:
    """The cells of the tables."""
    lines = [line.strip() for line in text_of(name).splitlines()]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def slug(heading: str) -> str:
    """What GitHub makes of a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(name: str) -> set[str]:
    made: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text_of(name))):
        base, number = slug(heading), 0
        while (anchor := f"{base}-{number}" if number else base) in made:
            number += 1
        made.add(anchor)
    return made | set(re.findall(r"(?:id|name)=\"([^\"]+)\"", text_of(name)))


@pytest.mark.parametrize("name", NEEDED)
def test_it_is_there(name: str) -> None:
    assert len(text_of(name)) > 200
    assert text_of(name).startswith("# ")


@pytest.mark.parametrize("readme", READMES)
@pytest.mark.parametrize("name", NAMES)
def test_every_setting(readme: str, name: str) -> None:
    """In the table, with what it means."""
    found = [row for row in rows(readme) if re.search(rf"`{name}`", row[0])]
    assert len(found) == 1
    assert len(found[0][1]) > 3


@pytest.mark.parametrize("name", documents(), ids=str)
def test_no_setting_that_is_none(name: Path) -> None:
    named = set(re.findall(r"\bLIVEROOM_[A-Z_]*[A-Z]\b(?!…|\*)", text_of(str(name))))
    assert named <= set(NAMES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_call(route: Route) -> None:
    """With each of its parameters; who calls and for which tenant is said once for all."""
    sections = re.split(r"^#{2,4} ", text_of(CALLS), flags=re.MULTILINE)
    (section,) = [section for section in sections if route.path in section.partition("\n")[0]]
    shared = {"userId", "apaasUserId", "token", "apaasAppId"}
    missing = [name for name in route.params.__struct_encode_fields__ if f"`{name}`" not in section]
    assert set(missing) <= shared
    assert str(int(route.code)) in section


def test_no_call_that_is_none() -> None:
    groups = "|".join(sorted({route.path.partition("/")[0] for route in ROUTES}))
    known = {route.path for route in ROUTES}
    for name in NEEDED:
        named = set(re.findall(rf"\b(?:{groups})/[a-z_]+\b", text_of(name)))
        assert named <= known, name


@pytest.mark.parametrize("path", PAGES)
def test_every_page(path: str) -> None:
    assert f"`{path}`" in text_of(CALLS)


def test_the_pages_are_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those listed here are those the app serves, with what they are made of."""
    monkeypatch.chdir(tmp_path)

    async def served() -> set[str]:
        variables = {"JWT_SECRET": "kT8-2vXq9_Lw4zRb7Nc1Yp6Hd3Js5Gf0", "LIVEROOM_DATABASE_URL": "sqlite:///a.sqlite"}
        liveroom = app.Liveroom(config.load(variables))
        pages = set(liveroom.site()._pages)
        await liveroom.back.close()
        return pages

    plain = {path.rstrip("/") or "/" for path in PAGES}
    assert {page for page in asyncio.run(served()) if not page.startswith("/docs/")} == plain


@pytest.mark.parametrize("code", list(Code), ids=lambda code: code.name)
def test_every_error(code: Code) -> None:
    found = [row for row in rows(CALLS) if row[0] == str(int(code)) and row[1].strip("`") == code.name]
    assert len(found) == 1
    assert found[0][2]


@pytest.mark.parametrize("name", documents(), ids=str)
def test_links(name: Path) -> None:
    """To files of the repository, and to headings in them."""
    broken = []
    text = CODE.sub("", FENCE.sub("", text_of(str(name))))
    for match in LINK.finditer(text):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        path = (ROOT / name.parent / file).resolve() if file else ROOT / name
        missing = not path.is_relative_to(ROOT) or not path.exists()
        if missing or (anchor and anchor not in anchors(str(path.relative_to(ROOT)))):
            broken.append(target)
    assert broken == []


def test_the_changelog_has_this_version() -> None:
    headings = [heading for heading in HEADING.findall(text_of("CHANGELOG.md")) if __version__ in heading]
    assert len(headings) == 1


def test_both_languages_lead_to_each_other() -> None:
    assert "(README.zh-CN.md)" in text_of("README.md")
    assert "(README.md)" in text_of("README.zh-CN.md")


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Room row", "room-row"),
        ("`oauth/register`", "oauthregister"),
        ("部署 与 `make`", "部署-与-make"),
        ("A, b", "a-b"),
    ],
)
def test_slugs(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor
