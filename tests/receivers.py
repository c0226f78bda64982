"""A back end that receives webhooks, as its owner would write it: it verifies with `standardwebhooks`."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks.webhooks import Webhook as Verifier

from liveroom.model import Webhook

SECRET = "whsec_" + base64.b64encode(b"a key for the webhooks of tests.").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another key for the same tests..").decode()


@dataclass
class Answer:
    """What a receiver says to a message; it waits for so long, and sends so much more than need be."""

    status: int = 204
    wait_s: float = 0.0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    endless: bool = False


@dataclass(frozen=True)
class Message:
    """A message that was verified."""

    id: str
    headers: Mapping[str, str]
    body: Any
    path: str


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Receiver:
    """Listens on 127.0.0.1 until it is left; `answer` may change what it says."""

    def __init__(self, secret: str = SECRET, port: int = 0) -> None:
        self.messages: list[Message] = []
        self.faults: list[Exception] = []
        self.answer: Callable[[Message], Answer] = lambda message: Answer()
        self.sent = 0
        self._verifier = Verifier(secret)
        self._server = _Server(("127.0.0.1", port), self._handler())
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def webhook(self, host: str = "127.0.0.1", path: str = "/hooks?key=hush", **given: Any) -> Webhook:
        chosen = {"secret": SECRET, "allow_private": True} | given
        return Webhook(url=f"http://{host}:{self.port}{path}", **chosen)

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    receiver._verifier.verify(content.decode(), dict(self.headers.items()))
                    message = Message(
                        self.headers["webhook-id"], dict(self.headers.items()), json.loads(content), self.path
                    )
                    receiver.messages.append(message)
                    receiver._reply(self, receiver.answer(message))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                except Exception as fault:
                    receiver.faults.append(fault)
                    self.send_error(401)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler

    def _reply(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        time.sleep(answer.wait_s)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.status != 204 and not answer.endless:
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)
        while answer.endless:
            handler.wfile.write(b"x" * 65_536)
            self.sent += 65_536
