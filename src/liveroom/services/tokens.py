"""Tokens: who a caller is, and whether its session still stands."""

import re
import secrets
from collections.abc import Sequence

import jwt
from msgspec import Struct

from liveroom.errors import Refusal, account_gone, token_expired, token_invalid
from liveroom.model import Caller, Session, SessionStanding, Tenant
from liveroom.ports.back_ends import Clock
from liveroom.ports.sessions import SessionStore

TOKEN_DAYS = 30
SESSIONS_PER_ACCOUNT = 20
REMEMBERED_TOKENS = 50_000
TRUST_MS = 2_000
FORGET_ENDED_MS = 60_000
# Base64 is read leniently: padding, foreign characters, and the last two bits of a signature are skipped.
_EXACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)


class Claims(Struct, frozen=True):
    """What a genuine token says; `exp` in Unix seconds."""

    tenant: str
    user_id: str
    sid: str
    exp: int


class TokenService:
    """Issues tokens and checks them.

    A verified token is remembered, so that most calls cost no look-up. Memory is trusted only while
    this process keeps reading the log of ended sessions; else each call asks SQL.
    """

    def __init__(self, keys: Sequence[str], sessions: SessionStore, clock: Clock, *, revocation: bool = True) -> None:
        self._keys = keys
        self._sessions = sessions
        self._clock = clock
        self._revocation = revocation
        self._known: dict[str, Claims] = {}
        self._tokens_of: dict[str, list[str]] = {}
        self._ended: dict[str, int] = {}
        self._used: dict[tuple[str, str], int] = {}
        self._cursor = 0
        self._log_read_at = -TRUST_MS

    async def open(self, tenant: str, user_id: str) -> tuple[str, int, str]:
        """Open a session; answers its first token, when that expires (Unix seconds), and its sid."""
        session = Session(tenant, user_id, secrets.token_urlsafe(16), self._expiry())
        if not await self._sessions.open(session, self._clock(), SESSIONS_PER_ACCOUNT, self._used):
            raise account_gone()
        return *self._sign(session), session.sid

    async def renew(self, caller: Caller) -> tuple[str, int]:
        """A new token of the caller's session; its older tokens stay valid."""
        session = Session(caller.tenant.name, caller.user_id, caller.sid, self._expiry())
        standing = await self._sessions.prolong(session, self._clock())
        self._insist(standing)
        return self._sign(session)

    async def check(self, token: str, user_id: str, tenant: Tenant | None) -> Claims:
        """The claims of a token that is this user's, of this tenant (None: any), and of a live session."""
        remembered = self._known.get(token) if self._trusted() else None
        claims = _matching(remembered or self.read(token), user_id, tenant)
        if claims.exp * 1000 <= self._clock():
            raise token_expired()
        if remembered is None:
            await self._insist_on_session(claims)
            self._remember(token, claims)
        return self._using(claims)

    def read(self, token: str) -> Claims:
        """The claims of a genuine token, be it expired; raises UserTokenInvalid for any other."""
        if not _EXACT.fullmatch(token):
            raise token_invalid()
        for key in self._keys:
            try:
                payload = jwt.decode(
                    token,
                    key,
                    algorithms=["HS256"],
                    options={"require": ["exp"], "verify_exp": False, "verify_iat": False},
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
                raise token_invalid() from None
            return _claims(payload)
        raise token_invalid()

    def authentic(self, token: str, user_id: str, tenant: Tenant | None) -> Claims | None:
        """The claims of a token that is this user's, be it expired; None for any other."""
        try:
            return _matching(self.read(token), user_id, tenant)
        except Refusal:
            return None

    async def end(self, claims: Claims) -> bool:
        """End the session: its tokens are worth nothing, here at once and elsewhere within a second.

        False: tokens outlive their logout, so that it goes on.
        """
        if not self._revocation:
            return False
        await self._sessions.end(claims.tenant, claims.user_id, claims.sid)
        self._forget(claims.sid)
        return True

    async def follow_endings(self) -> None:
        """Read which sessions ended on other processes; called several times a second."""
        asked_at = self._clock()
        ended, cursor = await self._sessions.ended_since(self._cursor)
        if self._cursor == 0 or asked_at - self._log_read_at > FORGET_ENDED_MS:
            self._known.clear()
            self._tokens_of.clear()
        for _, sid in ended:
            self._forget(sid)
        self._cursor = cursor
        self._log_read_at = asked_at
        for sid in [sid for sid, at in self._ended.items() if at < asked_at - FORGET_ENDED_MS]:
            del self._ended[sid]

    def has_ended(self, sid: str) -> bool:
        """Whether this session is known to have ended within the last minute."""
        return sid in self._ended

    async def note_uses(self) -> None:
        """Write down which sessions were used; called every minute, nobody waits for it."""
        noted = dict(self._used)
        await self._sessions.mark_used(sorted(noted), self._clock())
        for key, at in noted.items():
            if self._used.get(key) == at:
                del self._used[key]

    def _using(self, claims: Claims) -> Claims:
        """When a session was last used decides whether it is the one to end; kept here until it is noted."""
        key = (claims.tenant, claims.sid)
        if len(self._used) >= REMEMBERED_TOKENS and key not in self._used:
            del self._used[next(iter(self._used))]
        self._used[key] = self._clock()
        return claims

    def _trusted(self) -> bool:
        return self._clock() - self._log_read_at < TRUST_MS

    def _expiry(self) -> int:
        return self._clock() + TOKEN_DAYS * 86_400_000

    def _insist(self, standing: SessionStanding) -> None:
        if standing is SessionStanding.NO_ACCOUNT:
            raise account_gone()
        if standing is SessionStanding.ENDED and self._revocation:
            raise token_invalid()

    async def _insist_on_session(self, claims: Claims) -> None:
        self._insist(await self._sessions.standing(claims.tenant, claims.user_id, claims.sid))
        if claims.sid in self._ended and self._revocation:
            raise token_invalid()

    def _sign(self, session: Session) -> tuple[str, int]:
        issued = self._clock() // 1000
        payload = {
            "v": 1,
            "userId": session.user_id,
            "sid": session.sid,
            "tenant": session.tenant,
            "iat": issued,
            "exp": issued + TOKEN_DAYS * 86_400,
        }
        # Two logins within a second differ by this header; the claims are fixed by contract.
        token = jwt.encode(payload, self._keys[0], "HS256", headers={"n": secrets.token_urlsafe(4)})
        return token, payload["exp"]  # type: ignore[return-value]

    def _remember(self, token: str, claims: Claims) -> None:
        if token in self._known:
            return
        if len(self._known) >= REMEMBERED_TOKENS:
            oldest = next(iter(self._known))
            self._drop(oldest, self._known[oldest].sid)
        self._known[token] = claims
        self._tokens_of.setdefault(claims.sid, []).append(token)

    def _drop(self, token: str, sid: str) -> None:
        del self._known[token]
        tokens = self._tokens_of[sid]
        tokens.remove(token)
        if not tokens:
            del self._tokens_of[sid]

    def _forget(self, sid: str) -> None:
        self._ended[sid] = self._clock()
        for token in self._tokens_of.pop(sid, []):
            del self._known[token]


def _claims(payload: dict[str, object]) -> Claims:
    exp, texts = payload["exp"], [payload.get(name) for name in ("tenant", "userId", "sid")]
    if payload.get("v") != 1 or type(exp) is not int or not all(isinstance(text, str) for text in texts):
        raise token_invalid()
    tenant, user_id, sid = map(str, texts)
    return Claims(tenant, user_id, sid, exp)


def _matching(claims: Claims, user_id: str, tenant: Tenant | None) -> Claims:
    if claims.user_id != user_id or (tenant is not None and claims.tenant != tenant.name):
        raise token_invalid()
    return claims
