"""The command line: serve, migrate, check-config, usersig, webhooks, im-simulator."""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from granian.constants import Interfaces, Loops
from msgspec import json

from liveroom import __version__, config, tenancy
from liveroom.adapters.store import migrate as schema
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.keys import check_data_keys
from liveroom.adapters.store.sealing import Seal, WrongDataKey
from liveroom.commands import webhooks
from liveroom.config import Settings
from liveroom.errors import Refusal
from liveroom.server import AnnouncingServer, prepare_workers
from liveroom.services import usersig
from liveroom.simulator import command as simulator
from liveroom.tenancy import ConfigError

DEV_APP_ID = "1400000000"
BACKPRESSURE = 20_000
# From the announcement of a stop to the stop: load balancers look every second or two.
NOTICE_S, NOTICE_DEV_S = 3.0, 0.3
EXAMPLE_SALT = "1e80a39bf9e1cb8e97cdaee2ace85281"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; answers the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except ConfigError as error:
        print(f"liveroom: {error}", file=sys.stderr)
        return 2
    except Refusal as refusal:
        print(f"liveroom: {refusal.message}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="liveroom",
        description="The business backend for interactive live rooms.",
        epilog="Settings come from the environment, .env and liveroom.toml; `check-config` explains them.",
    )
    parser.add_argument("--version", action="version", version=f"liveroom {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    migrate = commands.add_parser("migrate", help="make the tables, or bring them up to date")
    migrate.add_argument("--json", action="store_true", help="print the result as JSON")
    migrate.set_defaults(run=_migrate)
    check = commands.add_parser("check-config", help="show every setting, and what is wrong")
    check.add_argument("--json", action="store_true", help="print the settings as JSON; secrets are not shown")
    check.set_defaults(run=_check_config)
    _add_usersig(commands)
    webhooks.add(commands, _settings)
    simulator.add(commands, _dev_settings)
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser("serve", help="run the service", description="Run the service until Ctrl-C.")
    made_up = "no cloud account: made-up TRTC app and secrets, kept in DIR"
    serve.add_argument("--dev", action="store_true", help=made_up)
    serve.add_argument("--host", default="0.0.0.0", help="address to listen on (default %(default)s)")  # noqa: S104
    serve.add_argument("--port", type=int, help="port to listen on (default PORT, else 9000)")
    several = "processes; more than one needs MySQL and Redis"
    serve.add_argument("--workers", type=_positive, default=1, help=several)
    serve.add_argument("--data", metavar="DIR", help="folder of SQLite and dev secrets (default ./data)")
    serve.add_argument("--migrate", action="store_true", help="bring the schema up to date first")
    serve.set_defaults(run=_serve)


def _add_usersig(commands: Any) -> None:
    sign = commands.add_parser("usersig", help="print a UserSig, to try an SDK by hand")
    sign.add_argument("user_id", metavar="USERID")
    sign.add_argument("--tenant", default="default", help="whose application signs (default: %(default)s)")
    sign.add_argument("--dev", action="store_true", help="sign for the application that `serve --dev` made up")
    sign.add_argument("--ttl", type=_positive, help="seconds that it stays good")
    sign.add_argument("--json", action="store_true", help="print it with its application as JSON")
    sign.set_defaults(run=_usersig)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _serve(arguments: argparse.Namespace) -> int:
    given = {
        "LIVEROOM_DATA": arguments.data,
        "PORT": arguments.port,
        "LIVEROOM_DEV": "on" if arguments.dev else None,
    }
    variables = config.environment()
    variables |= {name: str(value) for name, value in given.items() if value is not None}
    variables = _with_dev_secrets(variables)
    settings = config.load(variables)
    if arguments.workers > 1 and settings.embedded:
        raise ConfigError(
            "--workers above 1 needs MySQL and Redis: set MYSQL_HOST (or LIVEROOM_DATABASE_URL) "
            "and REDIS_HOST (or LIVEROOM_STATE_URL)."
        )
    if not settings.is_dev:
        config.check_secrets(settings)
    asyncio.run(_check_database(settings, may_migrate=arguments.migrate or settings.database.startswith("sqlite")))
    os.environ.update(variables)
    _greet(settings)
    prepare_workers()
    with tempfile.TemporaryDirectory(prefix="liveroom-metrics-") as folder:
        if arguments.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        _server(arguments, settings).serve()
    return 0


def _server(arguments: argparse.Namespace, settings: Settings) -> AnnouncingServer:
    return AnnouncingServer(
        "liveroom.app:worker",
        address=arguments.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=arguments.workers,
        factory=True,
        backpressure=BACKPRESSURE,
        websockets=True,
        log_access=False,
        workers_kill_timeout=8,
        notice_s=NOTICE_DEV_S if settings.is_dev else NOTICE_S,
        respawn_failed_workers=True,
    )


async def _check_database(settings: Settings, *, may_migrate: bool) -> None:
    """The schema must be this version's, and the data key the one that sealed the salts."""
    database = Database(settings.database)
    try:
        await database.ping()
        if may_migrate:
            await schema.migrate(database)
        elif await schema.revision(database) != schema.head():
            raise ConfigError("The database is not up to date: run `liveroom migrate` (or serve with --migrate).")
        await check_data_keys(database, Seal(settings.data_keys))
    except WrongDataKey as error:
        raise ConfigError(
            f"Salts in the database are sealed with a key ({error}) that is not in LIVEROOM_DATA_KEY "
            "(by default derived from JWT_SECRET): add the old key after the new one."
        ) from None
    finally:
        await database.close()


def _with_dev_secrets(variables: dict[str, str]) -> dict[str, str]:
    """In dev mode, what is not set is made up on the first start, in a file that only the owner can read."""
    settings = config.load(variables)
    if not settings.is_dev:
        return variables
    path = Path(settings.data_dir) / "secrets"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = {"JWT_SECRET": secrets.token_urlsafe(48), "TRTC_TIM_SECRET": secrets.token_hex(32)}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(json.encode(made))
    kept = json.decode(path.read_bytes(), type=dict[str, str])
    if settings.trtc_configured:
        del kept["TRTC_TIM_SECRET"]
    defaults = kept if settings.trtc_configured else {"TRTC_TIM_APPID": DEV_APP_ID, **kept}
    return {**defaults, **{name: value for name, value in variables.items() if value.strip()}}


def _dev_settings(data: str | None) -> Settings:
    given = {"LIVEROOM_DEV": "on"} | ({"LIVEROOM_DATA": data} if data else {})
    return config.load(_with_dev_secrets(config.environment() | given))


def _settings(dev: bool) -> Settings:
    return config.load(_with_dev_secrets(config.environment() | ({"LIVEROOM_DEV": "on"} if dev else {})))


def _greet(settings: Settings) -> None:
    here = f"http://127.0.0.1:{settings.port}"
    tenant = settings.tenants["default"]
    print(
        f"liveroom {__version__} on {here}",
        f"  sdkAppId   {tenant.sdk_app_id}",
        f"  docs       {here}/docs",
        sep="\n",
    )
    if not settings.trtc_configured:
        print("  Every call answers 503, Invalid TRTC config: set TRTC_TIM_APPID and TRTC_TIM_SECRET.")
    if settings.is_dev:
        user = f"dev{int(time.time())}"
        print(f"  try        curl '{here}/base/v1/oauth/register?username={user}&salt={EXAMPLE_SALT}'")
    sys.stdout.flush()


def _migrate(arguments: argparse.Namespace) -> int:
    settings = config.load(config.environment())
    before, after = asyncio.run(_migrated(settings))
    if arguments.json:
        print(json.encode({"from": before, "to": after}).decode())
    else:
        print(
            f"The schema is at {after}."
            if before == after
            else f"The schema went from {before or 'nothing'} to {after}."
        )
    return 0


async def _migrated(settings: Settings) -> tuple[str | None, str | None]:
    database = Database(settings.database)
    try:
        await database.ping()
        before = await schema.revision(database)
        await schema.migrate(database)
        return before, await schema.revision(database)
    finally:
        await database.close()


def _check_config(arguments: argparse.Namespace) -> int:
    settings = _settings(dev=False)
    shown = {field: _shown(settings, field) for field in config.setting_names()}
    if arguments.json:
        named = {names[0]: shown[field] for field, names in config.setting_names().items()}
        print(json.encode(named).decode())
    else:
        for field, names in config.setting_names().items():
            print(f"{names[0]:28} {shown[field] or '-':24} {config.setting_meta()[field].description}")
        for name, tenant in settings.tenants.items():
            print(f"\ntenant {name}", *tenancy.explained(tenant), sep="\n  ")
    if not settings.is_dev:
        config.check_secrets(settings)
    if not settings.trtc_configured:
        raise ConfigError("TRTC_TIM_APPID and TRTC_TIM_SECRET are not set: every call would answer 503.")
    return 0


def _shown(settings: Settings, field: str) -> str:
    meta = config.setting_meta()[field]
    value = str(getattr(settings, field))
    return "(set)" if value and meta.extra and meta.extra["secret"] else value


def _usersig(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments.dev)
    tenant = settings.tenants.get(arguments.tenant)
    if tenant is None or not tenant.secret:
        raise ConfigError(f"There is no tenant '{arguments.tenant}' with sdk_app_id and secret (see also --dev).")
    ttl = arguments.ttl or settings.usersig_ttl
    sig = usersig.sign(tenant.sdk_app_id, tenant.secret, arguments.user_id, int(time.time()), ttl)
    if arguments.json:
        print(json.encode({"sdkAppId": tenant.sdk_app_id, "userId": arguments.user_id, "userSig": sig}).decode())
    else:
        print(sig)
    return 0


if __name__ == "__main__":
    sys.exit(main())
