"""The house rules of ARCHITECTURE.md: sizes, names, imports, docstrings. There are no exceptions to any of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "liveroom"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULE_LINES = 300
BODY_LINES = 30
FORBIDDEN = {"utils", "common", "core", "base", "helpers", "manager", "schemas", "repositories", "dto"}
FORBIDDEN |= {"util", "helper", "managers", "schema", "repository", "dtos"}
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.ClassDef | Function


def where(path: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if isinstance(node, ast.stmt | ast.ExceptHandler) else ""
    return f"{path.relative_to(ROOT)}{line}"


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path.name)


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, Function))


def code_of(scope: Scope) -> list[ast.stmt]:
    """The statements after the docstring."""
    return scope.body[1:] if ast.get_docstring(scope) is not None else scope.body


def lines_of_body(function: Function) -> int:
    code = code_of(function)
    return (code[-1].end_lineno or 0) - code[0].lineno + 1 if code else 0


def is_doc_or_version(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == [
        "__version__"
    ]


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 30


def test_modules_are_short() -> None:
    lengths = {where(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_bodies_are_short() -> None:
    lengths = {
        f"{where(path, function)} {function.name}": lines_of_body(function)
        for path in SOURCES
        for function in functions(path)
    }
    assert {name: lines for name, lines in lengths.items() if lines > BODY_LINES} == {}


def test_no_name_that_says_nothing() -> None:
    files = {where(path) for path in SOURCES if FORBIDDEN & {path.stem, *path.relative_to(PACKAGE).parts}}
    classes = {
        f"{where(path, node)} {node.name}"
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and FORBIDDEN & {word.lower() for word in WORD.findall(node.name)}
    }
    assert files | classes == set()


def test_no_import_is_hidden_in_a_function() -> None:
    hidden = {
        f"{where(path, node)} {ast.unparse(node)}"
        for path in SOURCES
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert hidden == set()


def test_no_exception_is_swallowed() -> None:
    swallowed = {
        where(path, node)
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass | ast.Expr) for line in node.body)
        if not any(isinstance(part, ast.Call) for line in node.body for part in ast.walk(line))
    }
    assert swallowed == set()


def test_packages_hold_nothing_but_the_version() -> None:
    filled = {
        where(path, statement)
        for path in SOURCES
        if path.name == "__init__.py"
        for statement in parsed(path).body
        if path.parent != PACKAGE or not is_doc_or_version(statement)
    }
    assert filled == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if path.stat().st_size], ids=where)
def test_a_module_says_in_one_sentence_what_it_is(path: Path) -> None:
    """Its docstring begins with one sentence on one line; what a port guarantees may follow in paragraphs."""
    docstring = ast.get_docstring(parsed(path))
    assert docstring, "no docstring"
    first = docstring.partition("\n\n")[0]
    assert "\n" not in first
    assert first.endswith(".")
    assert not re.search(r"\.\s+[A-Z]", first), "more than one sentence"


def test_what_is_found_is_what_is_meant(tmp_path: Path) -> None:
    """The rules above would notice a breach."""
    bad = tmp_path / "bad.py"
    bad.write_text('def f():\n    """Doc."""\n    import os\n' + "    os\n" * 40)
    (function,) = functions(bad)
    assert lines_of_body(function) == 41
    assert [word.lower() for word in WORD.findall("RoomManagerDTO")] == ["room", "manager", "dto"]
    assert is_doc_or_version(ast.parse("__version__ = '1'").body[0])
    assert not is_doc_or_version(ast.parse("from x import y").body[0])
