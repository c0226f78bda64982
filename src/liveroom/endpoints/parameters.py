"""The parameters of a call: query and body read, merged by name, normalised, then made a request struct."""

import re
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from liveroom.errors import Code, Refusal

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_MANY_FIELDS = 1_000


def bad_body() -> Refusal:
    return Refusal(Code.SystemVerifyError, "The request cannot be read.")


def layers(method: str, query: bytes, content_type: bytes, body: bytes) -> list[dict[str, Any]]:
    """The query's parameters, then the body's. A body that cannot be read counts only where it belongs."""
    found = [_form(query)] if query else []
    if not body:
        return found
    try:
        return [*found, _read_body(content_type, body)]
    except Refusal:
        if method == "GET":
            return found
        raise


def _read_body(content_type: bytes, body: bytes) -> dict[str, Any]:
    if content_type.lstrip()[:10].lower() == b"multipart/":
        raise bad_body()
    start = body.lstrip(b" \t\r\n")[:1]
    if start not in (b"{", b"["):
        return _form(body)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        raise bad_body() from None
    if not isinstance(value, dict):
        raise bad_body()
    return {_plain(name): item for name, item in value.items()}


def _form(text: bytes) -> dict[str, Any]:
    """Urlencoded pairs; a name that comes more than once keeps all its values, in order."""
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MANY_FIELDS)
    except ValueError:
        raise bad_body() from None
    values: dict[str, Any] = {}
    for name, value in pairs:
        values.setdefault(_plain(name), Repeated()).append(value)
    return values


def _plain(name: str) -> str:
    return name[:-2] if name.endswith("[]") else name


class Repeated(list[str]):
    """The values of one name in a query or form, which are a list only where one is asked for."""


class Reader:
    """Makes one kind of request struct from parameters; anything amiss is refused with `code`."""

    def __init__(self, kind: type[Struct], code: Code) -> None:
        self._kind = kind
        self._code = code
        hints = get_type_hints(kind)
        pairs = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
        self._fields = [(wire, _normaliser(hints[name]), self._keeps_empty(name)) for name, wire in pairs]

    def _keeps_empty(self, name: str) -> bool:
        return name in getattr(self._kind, "CLEARABLE", ())

    def read(self, *layers: dict[str, Any]) -> Any:
        """The request struct; of each parameter the first layer counts in which it is not absent."""
        plain: dict[str, Any] = {}
        try:
            for wire, normalise, keeps_empty in self._fields:
                for values in layers:
                    value = values.get(wire)
                    if value is not None:
                        value = normalise(value)
                    if value is not None and (value != "" or keeps_empty):
                        plain[wire] = value
                        break
            return msgspec.convert(plain, self._kind)
        except (msgspec.ValidationError, TypeError, ValueError):
            raise Refusal(self._code, "A parameter is missing or not right.") from None


def _text(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return value
    if kind is Repeated:
        return value[-1]
    if kind is int:
        return str(value)
    raise TypeError


def _integer(value: Any) -> Any:
    if type(value) is int:
        return value
    text = _text(value)
    if text == "":
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    raise TypeError


def _texts(value: Any) -> Any:
    if not isinstance(value, list):
        value = [value]
    texts = [_text(item) for item in value if item is not None]
    return [text for text in texts if text != ""] or None


def _normaliser(hint: Any) -> Any:
    """How a field of this type reads what came over the wire."""
    if get_origin(hint) is Annotated:
        return _normaliser(get_args(hint)[0])
    if get_origin(hint) in {Union, UnionType}:
        return _normaliser(next(arg for arg in get_args(hint) if arg not in {type(None), msgspec.UnsetType}))
    if hint is int:
        return _integer
    return _texts if get_origin(hint) in {list, tuple} else _text
