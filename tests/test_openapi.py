"""`/openapi.json` and `/docs`: valid, complete, true to what the service answers, and without the internet."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from wire import Service as Client
from wire import compact

from liveroom import __version__
from liveroom.endpoints.parameters import Reader, layers
from liveroom.endpoints.routes import PREFIX, Route, Who, routes
from liveroom.errors import Code, Refusal
from servers import need
from service import Service

ROUTES = routes(MagicMock())
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
ANYWHERE = {Code.SystemVerifyError, Code.SystemError, Code.ServiceUnavailable, Code.ServiceDBFailed}
OF_TOKEN = {Code.UserTokenExpired, Code.UserTokenInvalid, Code.UserNotExists}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SALT = "1e80a39bf9e1cb8e97cdaee2ace85281"


def path_of(route: Route) -> str:
    return route.path


every_route = pytest.mark.parametrize("route", ROUTES, ids=path_of)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service(["--dev", "--data", "data"]) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Client:
    return Client([service.url])


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    reply = client.send("GET", "/openapi.json")
    assert reply.headers.get_content_type() == JSON
    return dict(reply.json())


def operations(document: dict[str, Any], route: Route) -> dict[str, Any]:
    return dict(document["paths"][PREFIX + route.path])


def misfits(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    """What the schema has against the value; references are the document's."""
    whole = {"components": document["components"], "allOf": [schema]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def reply_schema(document: dict[str, Any], route: Route) -> dict[str, Any]:
    return dict(operations(document, route)["post"]["responses"]["200"]["content"][JSON])


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == __version__
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        problems = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
    assert problems == []


def test_its_paths_are_the_routes_and_the_pages(document: dict[str, Any]) -> None:
    pages = {"/", "/base/v1/", "/helloworld", "/healthz", "/readyz", "/metrics"}
    assert document["paths"].keys() == {PREFIX + route.path for route in ROUTES} | pages
    for page in pages:
        assert document["paths"][page]["get"]["responses"]["200"]["description"]


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(ids)) == len(ids)


@every_route
def test_get_and_post_and_what_they_are_for(document: dict[str, Any], route: Route) -> None:
    both = operations(document, route)
    assert both.keys() == {"get", "post"}
    for operation in both.values():
        assert operation["summary"].endswith(".")
        assert operation["tags"] == [route.path.partition("/")[0]]


@every_route
def test_parameters(document: dict[str, Any], route: Route) -> None:
    """The query's are the struct's, and the body's are the query's."""
    both = operations(document, route)
    fields = list(route.params.__struct_encode_fields__)
    query = both["get"]["parameters"]
    assert [parameter["name"] for parameter in query] == fields
    assert {parameter["in"] for parameter in query} == {"query"}
    content = both["post"]["requestBody"]["content"]
    assert content.keys() == {JSON, FORM}
    for kind in (JSON, FORM):
        schema = document["components"]["schemas"][content[kind]["schema"]["$ref"].rpartition("/")[2]]
        assert list(schema["properties"]) == fields
        required = {parameter["name"] for parameter in query if parameter["required"]}
        assert set(schema.get("required", [])) == required
        if not route.resumes:
            assert required == {name for name in fields if is_needed(route, name)}


def is_needed(route: Route, name: str) -> bool:
    """Whether a call without it is refused by the reader."""
    example = {"username": "alice", "salt": SALT, "signature": "5" * 32, "roomId": "1", "appId": "0"}
    given = {key: value for key, value in example.items() if key != name}
    try:
        Reader(route.params, route.code).read(given)
    except Refusal:
        return True
    return False


@every_route
def test_errors(document: dict[str, Any], route: Route) -> None:
    """Each that the call may answer is told, with an example."""
    told = {
        (example["value"]["errorCode"], example["value"]["codeStr"])
        for name, example in reply_schema(document, route)["examples"].items()
        if name != "success"
    }
    due = ANYWHERE | {route.code, *route.refuses} | (set() if route.who is Who.ANYBODY else OF_TOKEN)
    assert told >= {(int(code), code.name) for code in due}
    assert told <= {(int(code), code.name) for code in Code}


@every_route
def test_examples_fit_their_schemas(document: dict[str, Any], route: Route) -> None:
    both = operations(document, route)
    for media in both["post"]["requestBody"]["content"].values():
        assert misfits(document, media["schema"], media["example"]) == []
    for parameter in both["get"]["parameters"]:
        for example in parameter["schema"].get("examples", []):
            assert misfits(document, parameter["schema"], example) == []
    for operation in both.values():
        media = operation["responses"]["200"]["content"][JSON]
        for example in media["examples"].values():
            assert misfits(document, media["schema"], example["value"]) == []


@every_route
def test_request_examples_are_accepted(document: dict[str, Any], route: Route) -> None:
    reader = Reader(route.params, route.code)
    content = operations(document, route)["post"]["requestBody"]["content"]
    for media in content.values():
        body = json.dumps(media["example"]).encode()
        assert isinstance(reader.read(*layers("POST", b"", JSON.encode(), body)), route.params)


@every_route
def test_success_examples_are_envelopes(document: dict[str, Any], route: Route) -> None:
    if route.resumes:
        content = operations(document, route)["get"]["responses"]["200"]["content"]
        assert content.keys() == {JSON, "text/event-stream"}
        assert "success" not in content[JSON]["examples"]
        return
    example = reply_schema(document, route)["examples"]["success"]["value"]
    assert (example["errorCode"], example["errorMessage"]) == (0, route.done)
    assert example["version"] == __version__
    assert ("data" in example) is (route.data is not None)
    assert example.keys() <= {"errorCode", "errorMessage", "version", "data", "requestId"}


def test_every_schema_says_what_it_is(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        assert misfits(document, {"$ref": f"#/components/schemas/{name}"}, None) != [], "it does refuse something"


def test_real_answers_fit(document: dict[str, Any], client: Client) -> None:
    """One life with every call in it, each answer as the document says, with no field too many."""
    proof = hashlib.md5(f"alice----{SALT}".encode()).hexdigest()
    given = {"username": "alice", "salt": SALT, "signature": proof, "appId": "0", "name": "Alice"}
    order = ["oauth/register", "oauth/signature", "auth_users/user_login_token", "auth_users/user_query"]
    order += ["auth_users/user_update", "auth_users/user_keepalive", "rooms/generate_roomid", "rooms/enter_room"]
    order += ["rooms/update_room", "rooms/room_detail", "rooms/query_room", "rooms/list_users", "rooms/leave_room"]
    order += ["rooms/destroy_room", "auth_users/user_logout", "oauth/signature", "auth_users/user_delete"]
    by_path = {route.path: route for route in ROUTES}
    assert by_path.keys() - {"rooms/stream"} == set(order)
    for path in order:
        body = client.post_json(PREFIX + path, compact(given)).json()
        assert body["errorCode"] == 0, body
        schema = reply_schema(document, by_path[path])["schema"]
        assert misfits(document, schema, body) == []
        example = reply_schema(document, by_path[path])["examples"]["success"]["value"]
        assert shape(body) == shape(example)
        if path == "oauth/signature":
            given |= {"userId": body["data"]["userId"], "token": body["data"]["token"], "roomId": "7654321"}


def shape(value: object) -> object:
    """The names and types, whatever the values."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else type(value).__name__


class References(HTMLParser):
    """What a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"a", "base"}:
            self.found += [value for name, value in attrs if name in {"src", "href", "data"} and value]


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/prod/docs", "/prod/docs/", "//docs", "//prod//docs//"])
def test_the_page_loads_nothing(client: Client, path: str) -> None:
    """Everything is in it, so that it works from wherever it is reached."""
    reply = client.send("GET", path)
    assert reply.status == 200
    assert reply.headers.get_content_type() == "text/html"
    page = References()
    page.feed(reply.body.decode())
    assert [url for url in page.found if not url.startswith("data:")] == []


def test_the_page_names_no_other_host_to_load_from(client: Client) -> None:
    """Style sheets load nothing; scripts may show links and name namespaces, but fetch from nowhere else."""
    html = client.send("GET", "/docs").body.decode()
    css = html[html.index("<style>") : html.index("</style>")]
    assert [url for url in re.findall(r"url\(([^)]{1,80})", css) if not url.strip("'\"").startswith("data:")] == []
    assert "@import" not in css
    own = html[html.rindex("<script>") :]
    assert re.search(r"validatorUrl:\s*null", own), "else it asks a validator on the internet"


@pytest.mark.parametrize("path", ["/docs", "//prod//docs/"])
def test_a_browser_shows_every_call(service: Service, document: dict[str, Any], tmp_path: Path, path: str) -> None:
    """With no other host to be found; under the plain path, and under a stage prefix with slashes too many."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None) or need("chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={tmp_path}"]
    command = [browser, *options, "--virtual-time-budget=10000", "--dump-dom", service.url + path]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    ids = re.findall(r'id="operations-\w+-((?:get|post|page)_\w+)"', done.stdout)
    expected = [operation["operationId"] for each in document["paths"].values() for operation in each.values()]
    assert sorted(ids) == sorted(expected)
