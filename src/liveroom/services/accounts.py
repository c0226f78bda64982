"""Accounts: signing up, signing in, and what one says of oneself."""

import hashlib
import hmac
import secrets

from msgspec import Struct

from liveroom.errors import Code, Refusal, account_gone
from liveroom.model import Account, Caller, Tenant
from liveroom.ports.accounts import AccountStore, NewAccount, Profile
from liveroom.ports.back_ends import Clock, IdSource
from liveroom.services import usersig
from liveroom.services.limits import Limits
from liveroom.services.members import MemberService
from liveroom.services.presence import PresenceService
from liveroom.services.tokens import TokenService

SIGNATURE_AHEAD_MS = 60_000
REPLAY_MS = 10_000


class SignInPolicy(Struct, frozen=True):
    """How accounts may be made and proved. `max_age_s` 0: a signature never gets old."""

    register_beside_vouching: bool = False
    max_age_s: int = 0
    usersig_s: int = 172_800


class Signature(Struct, frozen=True):
    """A username with the proof that its holder, or the holder's back end, sent it."""

    username: str
    signature: str
    tag: str
    ts: str
    nonce: str
    hash: str


class Login(Struct, frozen=True):
    """What a client gets when it is let in; `expires_at_s` in Unix seconds."""

    account: Account
    tenant: Tenant
    user_sig: str
    token: str
    expires_at_s: int


class AccountService:
    """What one may do with accounts."""

    def __init__(
        self,
        accounts: AccountStore,
        tokens: TokenService,
        members: MemberService,
        presence: PresenceService,
        limits: Limits,
        policy: SignInPolicy,
        *,
        ids: IdSource,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._members = members
        self._presence = presence
        self._limits = limits
        self._policy = policy
        self._ids = ids
        self._clock = clock

    async def register(self, tenant: Tenant, username: str, salt: str) -> Account:
        """Make an account that proves itself by a salt."""
        if tenant.oauth_secrets and not self._policy.register_beside_vouching:
            raise Refusal(Code.SystemVerifyError, "Registration is closed, please sign in with your account.")
        account = await self._accounts.register(self._new(tenant, username), salt)
        if account is None:
            raise Refusal(Code.SystemVerifyError, "This name is already taken.")
        return account

    async def sign_in(self, tenant: Tenant, proof: Signature, profile: Profile) -> Login:
        """Let in whoever shows a genuine signature, of a tag's secret or of the registered salt."""
        secret = tenant.oauth_secrets.get(proof.tag)
        if secret is not None and "-" in proof.tag + proof.ts + proof.nonce:
            raise Refusal(Code.UserOAuthParams, "tag, ts and nonce may hold no hyphen.")
        self._check_age(proof)
        if secret is not None:
            _compare(proof, secret)
            await self._check_replay(tenant, proof)
            account, sessions_ended = await self._accounts.vouch(self._new(tenant, proof.username), profile)
            if sessions_ended:
                await self._tokens.follow_endings()
        else:
            account = await self._by_salt(tenant, proof, profile)
        token, expires_at_s, sid = await self._tokens.open(tenant.name, account.user_id)
        self._presence.called(Caller(tenant, account.user_id, sid))
        return self._login(account, tenant, token, expires_at_s)

    async def login_again(self, caller: Caller) -> Login:
        """Let in the holder of a token, with a new token of the same session."""
        token, expires_at_s = await self._tokens.renew(caller)
        return self._login(await self._own(caller), caller.tenant, token, expires_at_s)

    async def logout(self, token: str, user_id: str, tenant: Tenant | None) -> None:
        """End the session of a genuine token, expired or not; whatever else is logged out already."""
        claims = self._tokens.authentic(token, user_id, tenant)
        if claims is not None:
            ended = await self._tokens.end(claims)
            self._presence.logged_out(claims.tenant, claims.user_id, claims.sid, ended=ended)

    async def delete(self, caller: Caller) -> None:
        """Delete the caller's account and all it has; an account that is gone is success."""
        if await self._members.depart(caller):
            await self._tokens.follow_endings()

    async def update(self, caller: Caller, profile: Profile) -> None:
        """Change what the caller says of itself."""
        if profile == Profile():
            raise Refusal(Code.UseInfoEmpty, "There is nothing to change.")
        if not await self._accounts.update(caller.tenant.name, caller.user_id, profile):
            raise account_gone()

    async def query(self, caller: Caller, search_user_id: str | None, search_phone: str | None) -> Account:
        """An account of the caller's tenant, its own without a search."""
        if search_user_id is None and search_phone is None:
            return await self._own(caller)
        if search_user_id == caller.user_id:
            return await self._own(caller)
        await self._limits.spend("query", caller.tenant.name, caller.user_id, most=60, window_s=60)
        if search_user_id is not None:
            found = await self._accounts.find(caller.tenant.name, search_user_id)
        else:
            found = await self._accounts.find_by_phone(caller.tenant.name, _e164(search_phone or ""))
        if found is None:
            raise account_gone()
        return found

    async def _own(self, caller: Caller) -> Account:
        account = await self._accounts.find(caller.tenant.name, caller.user_id)
        if account is None:
            raise account_gone()
        return account

    async def _by_salt(self, tenant: Tenant, proof: Signature, profile: Profile) -> Account:
        known = await self._accounts.credential(tenant.name, proof.username)
        # An unknown name costs the same comparison as a known one.
        salt = known.salt if known is not None and known.salt is not None else secrets.token_hex(16)
        _compare(proof, salt)
        if known is None:
            raise _wrong_signature()
        await self._check_replay(tenant, proof)
        if profile == Profile():
            return known.account
        await self._accounts.update(tenant.name, known.account.user_id, profile)
        return await self._accounts.find(tenant.name, known.account.user_id) or known.account

    def _check_age(self, proof: Signature) -> None:
        if not self._policy.max_age_s:
            return
        stamp = int(proof.ts) if proof.ts.isascii() and proof.ts.isdigit() and len(proof.ts) <= 16 else 0
        at = stamp if stamp >= 10**11 else stamp * 1000
        now = self._clock()
        if at < now - self._policy.max_age_s * 1000 or at > now + SIGNATURE_AHEAD_MS:
            raise Refusal(Code.UserOAuthParams, "This signature is out of date, check the clock of the device.")

    async def _check_replay(self, tenant: Tenant, proof: Signature) -> None:
        if not self._policy.max_age_s:
            return
        key = f"signature:{tenant.name}:{proof.username}:{proof.signature.lower()}"
        digest = hashlib.sha256(key.encode()).hexdigest()
        now, keep_s = self._clock(), self._policy.max_age_s + SIGNATURE_AHEAD_MS // 1000
        if now - await self._limits.first_seen(digest, now, keep_s) > REPLAY_MS:
            raise Refusal(Code.SystemVerifyError, "This signature was used already.")

    def _new(self, tenant: Tenant, username: str) -> NewAccount:
        avatar = secrets.choice(tenant.avatars) if tenant.avatars else ""
        return NewAccount(tenant.name, username, lambda: tenant.id_prefix + self._ids(), avatar, self._clock())

    def _login(self, account: Account, tenant: Tenant, token: str, expires_at_s: int) -> Login:
        now_s = self._clock() // 1000
        sig = usersig.sign(tenant.sdk_app_id, tenant.secret, account.user_id, now_s, self._policy.usersig_s)
        return Login(account, tenant, sig, token, expires_at_s)


def _compare(proof: Signature, secret: str) -> None:
    text = f"{proof.username}-{proof.tag}-{proof.ts}-{proof.nonce}-{secret}"
    expected = hashlib.new(proof.hash, text.encode(), usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(expected.encode(), proof.signature.lower().encode()):
        raise _wrong_signature()


def _wrong_signature() -> Refusal:
    return Refusal(Code.SystemVerifyError, "The name or the password is not right.")


def _e164(phone: str) -> str:
    """A `+` that was lost on the way (a blank in a form, or left out) is put back."""
    return "+" + phone.strip().lstrip("+")
