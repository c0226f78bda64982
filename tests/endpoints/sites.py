"""The app in this process, as a caller sees it."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import sqlite3
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from starlette.applications import Starlette

APP_SECRET = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
SETTINGS = {
    "JWT_SECRET": "kT8-2vXq9_Lw4zRb7Nc1Yp6Hd3Js5Gf0",
    "TRTC_TIM_APPID": "1400000000",
    "TRTC_TIM_SECRET": APP_SECRET,
    "LIVEROOM_LIMITS": "off",
    "LIVEROOM_IM": "embedded",
}


def signed(username: str, secret: str, tag: str = "", ts: str = "", nonce: str = "", kind: str = "md5") -> str:
    """The proof that `oauth/signature` asks for."""
    return hashlib.new(kind, f"{username}-{tag}-{ts}-{nonce}-{secret}".encode()).hexdigest()


@dataclass(frozen=True)
class User:
    """An account that has signed in."""

    username: str
    salt: str
    user_id: str
    token: str
    login: dict[str, Any]

    @property
    def ids(self) -> dict[str, str]:
        return {"userId": self.user_id, "token": self.token}


@dataclass
class Site:
    """One running app, and the ways to call it."""

    asgi: Starlette
    http: httpx.AsyncClient
    database: Path

    def sql(self, statement: str) -> None:
        """Run a statement behind the app's back."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.execute(statement)
            connection.commit()

    async def ask(self, call: str, **parameters: object) -> httpx.Response:
        """POST JSON, the plainest way."""
        return await self.http.post(f"/base/v1/{call}", json=parameters)

    async def body(self, call: str, **parameters: object) -> dict[str, Any]:
        return dict((await self.ask(call, **parameters)).json())

    async def code(self, call: str, **parameters: object) -> int:
        return int((await self.body(call, **parameters))["errorCode"])

    async def data(self, call: str, **parameters: object) -> Any:
        body = await self.body(call, **parameters)
        assert body["errorCode"] == 0, body
        return body["data"]

    async def sign_up(self, username: str = "", **more: object) -> User:
        """Register and sign in; without a username under a fresh one."""
        username, salt = username or f"u{secrets.token_hex(8)}", secrets.token_hex(16)
        assert await self.code("oauth/register", username=username, salt=salt, **more) == 0
        return await self.sign_in(username, salt, **more)

    async def sign_in(self, username: str, salt: str, **more: object) -> User:
        proof = signed(username, salt)
        login = await self.data("oauth/signature", username=username, signature=proof, **more)
        return User(username, salt, login["userId"], login["token"], login)


class Start(Protocol):
    """Starts an app: with these settings (None takes one away) and, maybe, this `liveroom.toml`."""

    def __call__(self, toml: str = "", **settings: str | None) -> Awaitable[Site]: ...
