"""The OpenAPI document, made from the URL table."""

from typing import Any, get_args

import msgspec
from msgspec import Struct

from liveroom import __version__
from liveroom.endpoints.routes import PREFIX, Route, Who
from liveroom.errors import Code

_REF = "#/components/schemas/{name}"
_FORM = "application/x-www-form-urlencoded"
_COMMON = (Code.SystemError, Code.ServiceUnavailable, Code.ServiceDBFailed)
_OF_TOKEN = (Code.UserTokenExpired, Code.UserTokenInvalid, Code.UserNotExists)
# Parameters of a call that stand for one another: an example has the first.
_NOT_TOGETHER = {"QueryUser": {"searchPhone"}, "FollowRooms": {"roomIds", "category"}}
_ABOUT = """The business backend for interactive live rooms.

Every call takes its parameters by GET query, POST query, POST form or POST JSON, in any mix; the query
wins. Every answer is an envelope: read `errorCode`, 0 is success. Refusals come with HTTP status 200.
"""


class Refused(Struct, rename="camel"):
    """Any answer but success."""

    error_code: int
    error_message: str
    version: str
    code_str: str


def document(routes: list[Route]) -> dict[str, Any]:
    """The document, of version 3.1."""
    kinds = [
        Refused,
        *(route.params for route in routes),
        *filter(None, (_row_of(route) for route in routes)),
    ]
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "liveroom",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(route) for route in routes)],
        "paths": {PREFIX + route.path: _path(route, components) for route in routes} | _pages(),
        "components": {"schemas": components},
    }


def _tag(route: Route) -> str:
    return route.path.partition("/")[0]


def _row_of(route: Route) -> Any:
    return next(iter(get_args(route.data)), route.data)


def _path(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    name = route.params.__name__
    schema = components[name]
    shared = {
        "tags": [_tag(route)],
        "summary": (route.params.__doc__ or "").strip(),
        "description": f"Called by {route.who}.",
        "responses": _responses(route, components),
    }
    operation = route.path.replace("/", "_")
    required = schema.get("required", [])
    query = [
        {
            "name": field,
            "in": "query",
            "required": field in required,
            "schema": kind,
            **({"description": kind["description"]} if "description" in kind else {}),
        }
        for field, kind in schema["properties"].items()
    ]
    reference = {"schema": {"$ref": _REF.format(name=name)}, "example": _example(schema)}
    body = {"required": bool(required), "content": {"application/json": reference, _FORM: reference}}
    return {
        "get": {"operationId": f"get_{operation}", "parameters": query, **shared},
        "post": {"operationId": f"post_{operation}", "requestBody": body, **shared},
    }


def _responses(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    codes = dict.fromkeys((route.code, Code.SystemVerifyError, *route.refuses, *_COMMON))
    if route.who is not Who.ANYBODY:
        codes |= dict.fromkeys(_OF_TOKEN)
    success = _success(route)
    examples: dict[str, Any] = {"success": {"value": _success_example(route, components)}}
    for code in sorted(codes):
        examples[code.name] = {
            "summary": f"{int(code)} {code.name}",
            "value": {
                "errorCode": int(code),
                "errorMessage": "A sentence for the end user.",
                "version": __version__,
                "codeStr": code.name,
            },
        }
    refused = {"$ref": _REF.format(name="Refused")}
    schema: dict[str, Any] = {"anyOf": [success, refused]}
    content: dict[str, Any] = {"application/json": {"schema": schema, "examples": examples}}
    if route.resumes:
        del examples["success"]
        content["application/json"]["schema"] = refused
        content["text/event-stream"] = {"schema": {"type": "string", "description": "Messages until it ends"}}
    return {
        "200": {
            "description": "Success, or a refusal: " + ", ".join(f"{int(code)} {code.name}" for code in sorted(codes)),
            "content": content,
        }
    }


def _success(route: Route) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "errorCode": {"const": 0},
        "errorMessage": {"type": "string"},
        "version": {"type": "string"},
        "requestId": {"type": "string", "description": "The request's own, where it carried one"},
    }
    required = ["errorCode", "errorMessage", "version"]
    if route.data is not None:
        row = _row_of(route)
        reference = {"$ref": _REF.format(name=row.__name__)}
        properties["data"] = reference if row is route.data else {"type": "array", "items": reference}
        required.append("data")
    return {"type": "object", "properties": properties, "required": required}


def _success_example(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    envelope: dict[str, Any] = {"errorCode": 0, "errorMessage": route.done, "version": __version__}
    if route.data is not None:
        row = _row_of(route)
        data = _example(components[row.__name__])
        envelope["data"] = data if row is route.data else [data]
    return envelope


def _example(schema: dict[str, Any]) -> dict[str, Any]:
    apart = _NOT_TOGETHER.get(schema["title"], set())
    shown = {name: kind for name, kind in schema["properties"].items() if name not in apart}
    return {name: _value(name, kind) for name, kind in shown.items()}


def _value(name: str, kind: dict[str, Any]) -> Any:
    for option in (kind, *kind.get("anyOf", ())):
        if "examples" in option:
            return option["examples"][0]
        if "enum" in option:
            return option["enum"][0]
        if option.get("type") == "array":
            return [_value(name, option["items"])]
        if option.get("type") == "integer":
            return 0
    return "10002000" if name in {"userId", "apaasUserId", "roomId", "ownBy", "createBy", "id"} else ""


def _pages() -> dict[str, Any]:
    answer = {"application/json": {"schema": {"type": "object"}}}
    ok = {"200": {"description": "The envelope, `errorCode` 0", "content": answer}}
    away = {"503": {"description": "A back end is away", "content": answer}}
    text = {"200": {"description": "Prometheus text format", "content": {"text/plain": {}}}}
    summaries = {
        "/": ("Whether the service runs", ok),
        "/base/v1/": ("Whether the service runs", ok),
        "/helloworld": ("Whether the service runs", ok),
        "/healthz": ("Whether the process is alive; no back end is asked", ok),
        "/readyz": ("Whether every back end is reachable", ok | away),
        "/metrics": ("Metrics", text),
    }
    return {
        path: {
            "get": {
                "tags": ["service"],
                "operationId": f"page_{index}",
                "summary": summary,
                "responses": answers,
            }
        }
        for index, (path, (summary, answers)) in enumerate(summaries.items())
    }
