"""Every setting: its names in the environment, default, limits and meaning."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import quote

import msgspec
from dotenv import dotenv_values
from msgspec import Meta, Struct
from msgspec.structs import replace

from liveroom import tenancy
from liveroom.model import DEFAULT_TENANT, Tenant
from liveroom.tenancy import ConfigError

OWN_PREFIX = "LIVEROOM_"
MIN_SECRET = 32
# Published ones that are long enough; "default" and its like are too short anyway.
WELL_KNOWN = {"a-string-secret-at-least-256-bits-long", "your-256-bit-secret-your-256-bit-secret"}


def _named(*names: str, doc: str, secret: bool = False, **limits: Any) -> Meta:
    return Meta(description=doc, extra={"names": names, "secret": secret}, **limits)


Switch = Literal["on", "off"]


class Settings(Struct, frozen=True, kw_only=True):
    """One field a setting; the first of its names that is set and not empty counts."""

    trtc_app_id: Annotated[int, _named("TRTC_TIM_APPID", doc="sdkAppId of the default tenant", ge=0, lt=2**32)] = 0
    trtc_secret: Annotated[str, _named("TRTC_TIM_SECRET", doc="Secret key of that application", secret=True)] = ""
    administrator: Annotated[str, _named("TIM_ADMINISTRATOR", doc="IM administrator account of the default tenant")] = (
        "administrator"
    )
    tim_domain: Annotated[str, _named("TIM_DOMAIN", doc="Domain of the IM REST API, by region")] = "console.tim.qq.com"
    im: Annotated[
        Literal["", "tencent", "embedded"],
        _named("LIVEROOM_IM", doc="Groups and accounts: `tencent`, or `embedded` without any; in dev mode `embedded`"),
    ] = ""
    im_callback_token: Annotated[str, _named("TIM_CALLBACK_TOKEN", doc="Signs IM callbacks", secret=True)] = ""
    trtc_callback_key: Annotated[str, _named("TRTC_CALLBACK_KEY", doc="Signs TRTC callbacks", secret=True)] = ""
    mysql_host: Annotated[str, _named("MYSQL_HOST", doc="MySQL host; empty: SQLite in the data folder")] = ""
    mysql_port: Annotated[int, _named("MYSQL_PORT", doc="MySQL port", ge=1, le=65535)] = 3306
    mysql_user: Annotated[str, _named("MYSQL_USER", doc="MySQL user")] = "root"
    mysql_password: Annotated[str, _named("MYSQL_PASSWORD", doc="MySQL password", secret=True)] = ""
    mysql_db: Annotated[str, _named("MYSQL_DB", doc="MySQL database")] = "live_room"
    redis_host: Annotated[str, _named("REDIS_HOST", doc="Redis host; empty: state in memory")] = ""
    redis_port: Annotated[int, _named("REDIS_PORT", doc="Redis port", ge=1, le=65535)] = 6379
    redis_password: Annotated[str, _named("REDIS_PASSWORD", doc="Redis password", secret=True)] = ""
    jwt_secret: Annotated[
        str,
        _named(
            "JWT_SECRET",
            doc="Signs the tokens, at least 32 bytes; several separated by blanks: the first signs, all verify",
            secret=True,
        ),
    ] = ""
    stage: Annotated[str, _named("STAGE", doc="Stage: its `.env.{STAGE}` is read, its path prefix stripped")] = ""
    port: Annotated[int, _named("PORT", doc="Port of `liveroom serve`", ge=0, le=65535)] = 9000
    database_url: Annotated[
        str,
        _named(
            "LIVEROOM_DATABASE_URL",
            doc="`mysql://user:password@host:port/name` or `sqlite:///path`; wins over `MYSQL_*`",
            secret=True,
        ),
    ] = ""
    state_url: Annotated[
        str,
        _named(
            "LIVEROOM_STATE_URL",
            doc="`redis://host:port/0`, `redis+cluster://h1:p,h2:p` or `memory://`; wins over `REDIS_*`",
            secret=True,
        ),
    ] = ""
    config: Annotated[
        str, _named("LIVEROOM_CONFIG", doc="TOML file of the tenants (default `./liveroom.toml`, if there)")
    ] = ""
    data_dir: Annotated[str, _named("LIVEROOM_DATA", doc="Folder of SQLite and of the dev secrets")] = "data"
    dev: Annotated[Switch, _named("LIVEROOM_DEV", doc="Dev mode, as `serve --dev`")] = "off"
    data_key: Annotated[
        str,
        _named(
            "LIVEROOM_DATA_KEY",
            doc="Encrypts salts at rest; several separated by blanks: the first encrypts. "
            "Default: the first `JWT_SECRET`",
            secret=True,
        ),
    ] = ""
    oauth_secrets: Annotated[
        str,
        _named(
            "LIVEROOM_OAUTH_SECRETS",
            doc="`tag:secret` pairs separated by blanks: your back end vouches for its users",
            secret=True,
        ),
    ] = ""
    oauth_register: Annotated[
        Switch, _named("LIVEROOM_OAUTH_REGISTER", doc="`oauth/register` beside configured tag secrets")
    ] = "off"
    signature_max_age: Annotated[
        int, _named("LIVEROOM_SIGNATURE_MAX_AGE", doc="Seconds that a signature stays good; 0: for ever", ge=0)
    ] = 0
    usersig_ttl: Annotated[
        int, _named("LIVEROOM_USERSIG_TTL", doc="Seconds that a UserSig stays good", ge=60, le=180 * 86_400)
    ] = 172_800
    token_revocation: Annotated[
        Switch, _named("LIVEROOM_TOKEN_REVOCATION", doc="`off`: a token outlives its logout")
    ] = "on"
    unknown_tenant: Annotated[
        Literal["refuse", "default"], _named("LIVEROOM_UNKNOWN_TENANT", doc="What an unknown `apaasAppId` is taken for")
    ] = "refuse"
    error_status: Annotated[Literal["200", "500"], _named("LIVEROOM_ERROR_STATUS", doc="HTTP status of refusals")] = (
        "200"
    )
    limits: Annotated[
        Literal["", "on", "off"], _named("LIVEROOM_LIMITS", doc="Rate limits; default `on`, in dev mode `off`")
    ] = ""
    cors_origins: Annotated[
        str, _named("LIVEROOM_CORS_ORIGINS", doc="Origins that browsers may call from, separated by blanks")
    ] = "*"
    trusted_proxies: Annotated[
        str, _named("LIVEROOM_TRUSTED_PROXIES", doc="Proxies whose `X-Forwarded-For` is believed")
    ] = ""
    access_log: Annotated[
        Literal["", "on", "off"],
        _named("LIVEROOM_ACCESS_LOG", doc="A log line a call (never its parameters); in dev mode `on`"),
    ] = ""
    events_kept_hours: Annotated[
        int, _named("LIVEROOM_EVENTS_KEPT_HOURS", doc="Hours that events and dead letters are kept", ge=1, le=8_760)
    ] = 72
    avatars: Annotated[str, _named("LIVEROOM_AVATARS", doc="Avatar URLs for new accounts, separated by blanks")] = ""
    tenants: dict[str, Tenant] = {}

    @property
    def is_dev(self) -> bool:
        return self.dev == "on"

    @property
    def database(self) -> str:
        """Where lasting data is, as a URL with its password."""
        if self.database_url:
            return self.database_url
        if self.mysql_host:
            user, password = (quote(text, safe="") for text in (self.mysql_user, self.mysql_password))
            return f"mysql://{user}:{password}@{self.mysql_host}:{self.mysql_port}/{self.mysql_db}"
        return f"sqlite:///{self.data_dir}/liveroom.sqlite"

    @property
    def state(self) -> str:
        """Where short-lived state is: a Redis URL, or `memory://`."""
        if self.state_url:
            return self.state_url
        if self.redis_host:
            return f"redis://{self.redis_host}:{self.redis_port}/0"
        return "memory://"

    @property
    def embedded(self) -> bool:
        """Whether a back end lives in the process or its folder, so that there can be but one process."""
        return self.database.startswith("sqlite") or self.state.startswith("memory")

    @property
    def messages_remotely(self) -> bool:
        """Whether Tencent IM has the groups, rather than this process."""
        return (self.im or ("embedded" if self.is_dev else "tencent")) == "tencent"

    @property
    def jwt_secrets(self) -> list[str]:
        return self.jwt_secret.split()

    @property
    def data_keys(self) -> list[str]:
        """The first seals. Whatever may have sealed before opens, so that `JWT_SECRET` can be rolled."""
        return [*self.data_key.split(), *self.jwt_secrets]

    @property
    def limited(self) -> bool:
        return (self.limits or ("off" if self.is_dev else "on")) == "on"

    @property
    def logs_access(self) -> bool:
        return (self.access_log or ("on" if self.is_dev else "off")) == "on"

    @property
    def trtc_configured(self) -> bool:
        return all(tenant.sdk_app_id and tenant.secret for tenant in self.tenants.values())


def environment(base: Mapping[str, str] | None = None, folder: Path | None = None) -> dict[str, str]:
    """The process's variables, and beneath them `.env.{STAGE}` and `.env`."""
    own = dict(os.environ if base is None else base)
    folder = folder or Path.cwd()
    plain = _dotenv(folder / ".env")
    stage = own.get("STAGE") or plain.get("STAGE") or ""
    staged = _dotenv(folder / f".env.{stage}") if stage else {}
    return {**plain, **staged, **own}


def load(variables: Mapping[str, str]) -> Settings:
    """The settings that these variables and the TOML file make; raises `ConfigError`."""
    _refuse_typos(variables)
    values: dict[str, Any] = {}
    for field, names in setting_names().items():
        for name in names:
            if variables.get(name, "").strip():
                values[field] = _converted(field, name, variables[name].strip())
                break
    settings = Settings(**values)
    _check_urls(settings)
    return replace(settings, tenants=_tenants(settings))


def setting_names() -> dict[str, tuple[str, ...]]:
    """Each setting with its names in the environment."""
    return {field: meta.extra["names"] for field, meta in setting_meta().items() if meta.extra}


def setting_meta() -> dict[str, Meta]:
    hints = get_type_hints(Settings, include_extras=True)
    annotated = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Annotated}
    return {name: next(arg for arg in args if isinstance(arg, Meta)) for name, args in annotated.items()}


def check_secrets(settings: Settings) -> None:
    """Refuse a service that anybody could sign tokens for; raises `ConfigError`."""
    if not settings.jwt_secrets:
        raise ConfigError("JWT_SECRET is not set: set it to at least 32 random characters.")
    for secret in settings.jwt_secrets:
        if _is_weak(secret):
            raise ConfigError("JWT_SECRET is too weak: each one needs at least 32 random characters.")
    for key in settings.data_key.split():
        if _is_weak(key):
            raise ConfigError("LIVEROOM_DATA_KEY is too weak: each one needs at least 32 random characters.")


def _is_weak(secret: str) -> bool:
    return len(secret.encode()) < MIN_SECRET or secret in WELL_KNOWN or len(set(secret)) < 8


def _converted(field: str, name: str, text: str) -> Any:
    hint = get_type_hints(Settings, include_extras=True)[field]
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError:
        raise ConfigError(f"{name}: this value will not do; it has to be {tenancy.allowed(hint)}.") from None


def _check_urls(settings: Settings) -> None:
    for name, url, kinds in (
        ("LIVEROOM_DATABASE_URL", settings.database, ("mysql", "sqlite")),
        ("LIVEROOM_STATE_URL", settings.state, ("redis", "rediss", "redis+cluster", "memory")),
    ):
        if url.partition("://")[0] not in kinds or "://" not in url:
            raise ConfigError(f"{name}: it has to begin with " + " or ".join(f"{kind}://" for kind in kinds) + ".")


def _refuse_typos(variables: Mapping[str, str]) -> None:
    known = {name for names in setting_names().values() for name in names}
    for name in sorted(variables):
        if name.startswith(OWN_PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]}?" if near else " `liveroom check-config` lists the settings."
            raise ConfigError(f"{name} is no setting of liveroom.{hint}")


def _dotenv(path: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _tenants(settings: Settings) -> dict[str, Tenant]:
    path = Path(settings.config or "liveroom.toml")
    if settings.config and not path.exists():
        raise ConfigError(f"LIVEROOM_CONFIG: there is no file {path}.")
    tenants = tenancy.read(path) if path.exists() else {}
    tenants[DEFAULT_TENANT] = _default_tenant(settings, tenants.get(DEFAULT_TENANT, Tenant()))
    tenancy.check(tenants)
    return tenants


def _default_tenant(settings: Settings, listed: Tenant) -> Tenant:
    """The environment alone makes the default tenant; the file adds to it, the environment wins."""
    named = settings.administrator != "administrator"
    return replace(
        listed,
        name=DEFAULT_TENANT,
        sdk_app_id=settings.trtc_app_id or listed.sdk_app_id,
        secret=settings.trtc_secret or listed.secret,
        administrator=settings.administrator if named else listed.administrator,
        im_callback_token=settings.im_callback_token or listed.im_callback_token,
        trtc_callback_key=settings.trtc_callback_key or listed.trtc_callback_key,
        oauth_secrets={**listed.oauth_secrets, **tenancy.pairs(settings.oauth_secrets)},
        avatars=tuple(settings.avatars.split()) or listed.avatars,
    )
