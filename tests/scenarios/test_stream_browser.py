"""A real browser's EventSource follows a room while the service is killed and started again."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from envelopes import Account, code_of, sign_up
from streams import Told, versions
from wire import Service as Wire
from wire import pairs

from servers import need
from service import Service

PAGE = """<!doctype html><title>follows</title><script>
const stream = new EventSource(URL_HERE);
const tell = (what) => fetch("/told", {method: "POST", body: JSON.stringify(what)});
let last = Promise.resolve();
stream.onmessage = ({data, lastEventId}) => {
  last = last.then(() => tell({id: lastEventId, told: JSON.parse(data)}));
};
</script>"""
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


class Page:
    """A page of the test's own, and what it was told."""

    def __init__(self, url: str) -> None:
        told: queue.Queue[dict[str, object]] = queue.Queue()
        html = PAGE.replace("URL_HERE", json.dumps(url)).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(html)

            def do_POST(self) -> None:
                told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._told = told
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self.messages: list[Told] = []
        self.last_id = ""

    def until(self, holds: Callable[[Told], bool], within_s: float = 40) -> list[Told]:
        """What it was told, up to a message of which this holds."""
        deadline = time.monotonic() + within_s
        while not self.messages or not holds(self.messages[-1]):
            got = self._told.get(timeout=max(0.1, deadline - time.monotonic()))
            message: Told = got["told"]  # type: ignore[assignment]
            self.messages += message["events"] if message["kind"] == "changes" else [message]
            self.last_id = str(got["id"])
        return self.messages

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(["--dev", "--data", "data"]) as service:
        yield service


@pytest.fixture
def browser(tmp_path: Path) -> list[str]:
    """The command that opens a page in a browser of its own."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    running: list[str] = [found or need("chromium"), *OPTIONS, f"--user-data-dir={tmp_path}"]
    running.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    return running


def change(wire: Wire, ann: Account, *titles: str) -> None:
    for title in titles:
        assert code_of(wire, "rooms/update_room", **ann.credentials, roomId="r", title=title) == 0


def test_a_browser_goes_on_where_it_was(service: Service, browser: list[str]) -> None:
    wire = Wire([service.url])
    ann = sign_up(wire)
    assert code_of(wire, "rooms/enter_room", **ann.credentials, roomId="r", appId="0") == 0
    query = pairs({**ann.credentials, "roomId": "r"}, "")
    page = Page(f"{service.url}/base/v1/rooms/stream?{query}")
    opened = subprocess.Popen([*browser, "--remote-debugging-port=0", page.url], stderr=subprocess.DEVNULL)
    try:
        (snapshot,) = page.until(lambda told: told["kind"] == "snapshot")
        change(wire, ann, "a", "before")
        page.until(lambda told: told.get("title") == "before")
        service.kill()
        service.start()
        service.wait_ready()
        change(wire, ann, "after the first", "after the second")
        told = page.until(lambda told: told.get("title") == "after the second")
        assert [body["kind"] for body in told].count("snapshot") == 1, "it resumed, and was shown no other"
        assert versions(told) == [snapshot["version"] + number for number in (1, 2, 3, 4)]
        assert page.last_id == f"1.{snapshot['version'] + 4}"
    finally:
        opened.kill()
        opened.wait()
        page.close()
