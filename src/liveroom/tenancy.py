"""The tenants as the TOML file tells them."""

import base64
import binascii
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from liveroom.events import KINDS
from liveroom.model import DEFAULT_TENANT, CategoryPolicy, Tenant, Webhook

SECRET_PREFIX = "whsec_"
MIN_WEBHOOK_SECRET = 24


class ConfigError(Exception):
    """What is wrong with the configuration, and what to do about it; the start ends here.

    Never quotes a value: it may be a secret that was put in the wrong place.
    """


def read(path: Path) -> dict[str, Tenant]:
    """The file's tenants by name; raises `ConfigError` that names the place."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {_place(error)}.") from None
    unknown = sorted(set(document) - {"tenants"})
    if unknown:
        raise ConfigError(f"{path}: '{unknown[0]}' is unknown; there are only tables [tenants.NAME].")
    tables = document.get("tenants", {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: 'tenants' has to be a table, [tenants.NAME].")
    return {name: _tenant(path, name, table) for name, table in tables.items()}


def check(tenants: Mapping[str, Tenant]) -> None:
    """What has to hold of all tenants together; raises `ConfigError`."""
    spoken_for: dict[str, str] = {}
    for name, tenant in tenants.items():
        _check_tenant(tenant)
        for alias in (name, *tenant.aliases):
            if spoken_for.setdefault(alias, name) != name:
                raise ConfigError(f"'{alias}' names two tenants: '{spoken_for[alias]}' and '{name}'.")


def explained(tenant: Tenant) -> list[str]:
    """What this tenant's times mean, a sentence each."""
    presence = tenant.presence
    told = [
        _sentence("A session that sends keepalives counts as online", presence.beat_timeout_s, "its last sign"),
        # Its tokens expire 30 days after the last one was issued.
        _sentence(
            "One that never sent any counts as online", presence.silent_timeout_s or 30 * 86_400, "its last sign"
        ),
        _logout(presence.grace_s),
    ]
    for category, policy in tenant.categories.items():
        told += _explained_rooms(f"a room of category '{category}'", policy)
    return told + _explained_rooms("any other room" if tenant.categories else "a room", CategoryPolicy())


def _logout(grace_s: int) -> str:
    if not grace_s:
        return "A logout makes nobody offline by itself (0)."
    return f"After a logout its user stays online for {grace_s} s, so that logging in again changes nothing."


def _explained_rooms(room: str, policy: CategoryPolicy) -> list[str]:
    leaving = _sentence(f"Audience that goes offline stays in {room}", policy.evict_after_s, "that")
    closing = f"{room[0].upper()}{room[1:]} closes once it has been hidden for {policy.close_after_s} s; "
    never = f"{room[0].upper()}{room[1:]} is never closed for being hidden (0); "
    leaves = "an anchor that goes offline leaves it after the same time."
    stays = "an anchor that goes offline stays."
    return [leaving, closing + leaves if policy.close_after_s else never + stays]


def _sentence(what: str, seconds: int, since: str) -> str:
    return f"{what} until {seconds} s after {since}." if seconds else f"{what} for ever (0)."


def pairs(text: str) -> dict[str, str]:
    """The secrets of `LIVEROOM_OAUTH_SECRETS` by their tags; raises `ConfigError`."""
    found = [pair.partition(":") for pair in text.split()]
    if not all(tag and secret for tag, _, secret in found):
        raise ConfigError("LIVEROOM_OAUTH_SECRETS: write `tag:secret` pairs, separated by blanks.")
    return {tag: secret for tag, _, secret in found}


def allowed(hint: Any) -> str:
    """What a value of this type may be, in words."""
    base: Any = getattr(hint, "__origin__", hint)
    extras: tuple[Any, ...] = getattr(hint, "__metadata__", ())
    limits = next((extra for extra in extras if isinstance(extra, Meta)), None)
    choices = getattr(base, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return "one of " + ", ".join(f"'{choice}'" for choice in choices if choice)
    words = {int: "a whole number", str: "a text"}.get(base, "of another type")
    if limits is not None and limits.ge is not None:
        words += f" from {limits.ge}"
    if limits is not None and (limits.le or limits.lt) is not None:
        words += f" up to {limits.le if limits.le is not None else (limits.lt or 0) - 1}"
    return words


def _tenant(path: Path, name: str, table: Any) -> Tenant:
    if isinstance(table, dict) and "name" in table:
        raise ConfigError(f"{path}: [tenants.{name}]: 'name' is unknown; the table's own name counts.")
    try:
        return replace(msgspec.convert(table, Tenant), name=name)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: [tenants.{name}]: {_quoteless(str(error))}.") from None


def _quoteless(complaint: str) -> str:
    """msgspec quotes the value of a wrong choice; its place is enough."""
    what, _, where = complaint.partition(" - at ")
    if what.startswith("Invalid enum value"):
        what = "this is none of the possible values"
    return f"{what} - at {where}" if where else what


def _place(error: tomllib.TOMLDecodeError) -> str:
    """Line and column, without the characters there."""
    text = str(error)
    return text[text.index("(at ") + 1 : -1] if "(at " in text else "it ends too early"


def _check_tenant(tenant: Tenant) -> None:
    plain = tenant.name.replace("_", "a")
    if not (plain.isascii() and plain.isalnum() and len(plain) <= 20):
        raise ConfigError(f"Tenant '{tenant.name}': a name has 1 to 20 letters, digits and underscores.")
    if tenant.name != DEFAULT_TENANT and not (tenant.sdk_app_id and tenant.secret):
        raise ConfigError(f"Tenant '{tenant.name}': sdk_app_id or secret is missing.")
    if any(not secret for secret in tenant.oauth_secrets.values()):
        raise ConfigError(f"Tenant '{tenant.name}': an oauth secret is empty.")
    for name, webhook in tenant.webhooks.items():
        _check_webhook(f"[tenants.{tenant.name}.webhooks.{name}]", name, webhook)


def _check_webhook(place: str, name: str, webhook: Webhook) -> None:
    plain = name.replace("_", "a").replace("-", "a")
    if not (plain.isascii() and plain.isalnum() and len(plain) <= 32):
        raise ConfigError(f"{place}: a name has 1 to 32 letters, digits, hyphens and underscores.")
    try:
        url = urlsplit(webhook.url)
        complete = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        complete = False
    if not complete:
        raise ConfigError(f"{place}: url has to be an http:// or https:// address.")
    for kind in webhook.kinds:
        if kind not in KINDS:
            raise ConfigError(f"{place}: there are no events of kind '{kind[:32]}', only " + ", ".join(KINDS) + ".")
    if not webhook.secret.split():
        raise ConfigError(f"{place}: secret is missing; `liveroom webhooks secret` makes one.")
    for secret in webhook.secret.split():
        if len(webhook_key(secret)) < MIN_WEBHOOK_SECRET:
            raise ConfigError(
                f"{place}: secret has to be `{SECRET_PREFIX}` and the Base64 of at least "
                f"{MIN_WEBHOOK_SECRET} bytes; `liveroom webhooks secret` makes one."
            )


def webhook_key(secret: str) -> bytes:
    """The key that a secret in the form of Standard Webhooks stands for; empty for one that is none."""
    try:
        return (
            base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
            if secret.startswith(SECRET_PREFIX)
            else b""
        )
    except (binascii.Error, ValueError):
        return b""
