"""The pages beside the calls: health, metrics, the OpenAPI document and its reader."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import json
from starlette.responses import Response

from liveroom.endpoints import metrics, openapi
from liveroom.endpoints.envelope import Answer
from liveroom.endpoints.health import HealthEndpoints
from liveroom.endpoints.routes import Route

DOCS = Path(__file__).parents[1] / "static" / "docs"

Page = Callable[[], Awaitable[Answer | Response]]


def pages(health: HealthEndpoints, table: list[Route]) -> dict[str, Page]:
    """Each page by its path."""
    document = json.encode(openapi.document(table))

    async def described() -> Response:
        return Response(document, media_type="application/json")

    async def measured() -> Response:
        body, media_type = metrics.exposition()
        return Response(body, media_type=media_type)

    found: dict[str, Page] = dict.fromkeys(("/", "/helloworld", "/base/v1", "/healthz"), health.here)
    found |= {"/readyz": health.ready, "/metrics": measured, "/openapi.json": described}
    return found | {"/docs": _docs()}


def _docs() -> Page:
    """One page with everything in it: it loads nothing, from wherever it is reached."""
    page = (DOCS / "index.html").read_text(encoding="utf-8")
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        page = page.replace(f"/* {name} */", (DOCS / name).read_text(encoding="utf-8"))
    body = page.encode()

    async def docs() -> Response:
        return Response(body, media_type="text/html")

    return docs
