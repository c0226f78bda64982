"""The calls about accounts."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from liveroom.endpoints.wire import Named, Signed, utc
from liveroom.errors import Refusal
from liveroom.model import Account, Caller
from liveroom.ports.accounts import Profile
from liveroom.services.accounts import AccountService, Login, Signature
from liveroom.services.tenants import Tenants

Username = Annotated[str, Meta(min_length=1, max_length=125, examples=["alice"])]
Name = Annotated[str, Meta(max_length=125, examples=["Alice"])]
Tag = Annotated[str, Meta(max_length=32, examples=["im"])]
Avatar = Annotated[str, Meta(max_length=512, examples=["https://example.com/alice.png"])]
Signable = Annotated[str, Meta(max_length=256)]


class Register(Named, rename="camel"):
    """Make an account that proves itself by a salt, such as md5(username-password)."""

    username: Username
    salt: Annotated[str, Meta(min_length=32, max_length=256, examples=["1e80a39bf9e1cb8e97cdaee2ace85281"])]


class SignIn(Named, rename="camel"):
    """Sign in with hash(username-tag-ts-nonce-secret), in hex."""

    username: Username
    signature: Annotated[str, Meta(max_length=256, examples=["b081b396acc4948019e124294c313396"])]
    tag: Annotated[Signable, Meta(examples=["player"])] = ""
    ts: Annotated[Signable, Meta(description="Unix time in s or ms", examples=["1634543466000"])] = ""
    nonce: Annotated[Signable, Meta(examples=["o29dmek"])] = ""
    hash: Literal["md5", "sha1", "sha256"] = "md5"
    nickname: Name | None = None
    avatar: Avatar | None = None


class UpdateUser(Signed, rename="camel"):
    """Change what one says of oneself."""

    name: Name | None = None
    tag: Tag | None = None
    tag2: Tag | None = None
    avatar: Avatar | None = None


class QueryUser(Signed, rename="camel"):
    """Read one's own account, or another one's."""

    search_user_id: Annotated[str, Meta(max_length=128, examples=["10002001"])] | None = None
    search_phone: Annotated[str, Meta(max_length=128, examples=["+8618500002222"])] | None = None

    def __post_init__(self) -> None:
        if self.search_user_id is not None and self.search_phone is not None:
            raise ValueError("search by userId or by phone, not by both")


class Registered(Struct):
    """The new account."""

    name: str
    id: str


class LoginData(Struct, rename="camel"):
    """What a client needs to use the service, IM and TRTC."""

    user_id: str
    apaas_user_id: str
    sdk_app_id: int
    user_sig: str
    sdk_user_sig: str
    token: str
    expire: str
    phone: str
    email: str
    name: str
    avatar: str
    apaas_app_id: str


class UserData(Struct, rename="camel"):
    """What others may know of an account."""

    user_id: str
    apaas_user_id: str
    name: str
    avatar: str
    tag: str
    tag2: str


class AccountEndpoints:
    """Unpacks the calls about accounts and shapes their answers."""

    def __init__(self, accounts: AccountService, tenants: Tenants) -> None:
        self._accounts = accounts
        self._tenants = tenants

    async def register(self, wish: Register) -> Registered:
        tenant = self._tenants.for_login(wish.apaas_app_id)
        account = await self._accounts.register(tenant, wish.username, wish.salt)
        return Registered(account.username, account.user_id)

    async def signature(self, wish: SignIn) -> LoginData:
        tenant = self._tenants.for_login(wish.apaas_app_id)
        proof = Signature(wish.username, wish.signature, wish.tag, wish.ts, wish.nonce, wish.hash)
        return _login_data(await self._accounts.sign_in(tenant, proof, Profile(name=wish.nickname, avatar=wish.avatar)))

    async def login_token(self, caller: Caller, _: Signed) -> LoginData:
        return _login_data(await self._accounts.login_again(caller))

    async def logout(self, wish: Signed) -> None:
        try:
            tenant = self._tenants.claimed(wish.apaas_app_id)
        except Refusal:
            return  # nobody is logged in to a tenant that is not there
        await self._accounts.logout(wish.token, wish.user_id or wish.apaas_user_id, tenant)

    async def delete(self, caller: Caller, _: Signed) -> None:
        await self._accounts.delete(caller)

    async def update(self, caller: Caller, wish: UpdateUser) -> None:
        await self._accounts.update(caller, Profile(wish.name, wish.avatar, wish.tag, wish.tag2))

    async def query(self, caller: Caller, wish: QueryUser) -> UserData:
        return _user_data(await self._accounts.query(caller, wish.search_user_id, wish.search_phone))


def _login_data(login: Login) -> LoginData:
    account = login.account
    return LoginData(
        user_id=account.user_id,
        apaas_user_id=account.user_id,
        sdk_app_id=login.tenant.sdk_app_id,
        user_sig=login.user_sig,
        sdk_user_sig=login.user_sig,
        token=login.token,
        expire=utc(login.expires_at_s),
        phone=account.phone,
        email=account.email,
        name=account.name,
        avatar=account.avatar,
        apaas_app_id=login.tenant.wire_name,
    )


def _user_data(account: Account) -> UserData:
    return UserData(account.user_id, account.user_id, account.name, account.avatar, account.tag, account.tag2)
