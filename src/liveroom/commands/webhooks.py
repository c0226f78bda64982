"""`liveroom webhooks`: how they are doing, telling again what was not taken, and trying one out."""

import argparse
import asyncio
import base64
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
from msgspec import json

from liveroom.adapters.store import migrate as schema
from liveroom.adapters.store.deliveries import SqlDeliveries
from liveroom.adapters.store.engine import Database
from liveroom.adapters.webhooks.http import HttpWebhooks
from liveroom.config import Settings
from liveroom.events import About, Event, encoded, kind_of
from liveroom.model import Tenant, Webhook
from liveroom.ports.deliveries import IM_GROUP, Backlog
from liveroom.ports.outbox import Told
from liveroom.ports.webhooks import WebhookTrouble
from liveroom.services.tellers import message
from liveroom.tenancy import SECRET_PREFIX, ConfigError

# Reads the settings; of a dev service, if wanted.
Read = Callable[[bool], Settings]

STEP = 100
BAR = 30
EXPLAINED = """\
Webhooks stand in liveroom.toml, each in a table of its tenant; the service has to be restarted for it:

  [tenants.acme.webhooks.backend]
  url = "https://backend.example.com/liveroom"
  secret = "whsec_…"                            # liveroom webhooks secret
  kinds = ["room.opened", "room.closed"]        # without it: all

Then `liveroom webhooks test backend --tenant acme` posts an example to it. Whoever receives it verifies it
with any library of Standard Webhooks, answers with a status 2xx within 10 s, and forgets events whose id
it has seen: what is not known to have arrived is sent again.
"""
REPLAYED = """\
An event that a webhook has not taken for 24 hours is a dead letter. This command makes all dead letters of
a webhook due again; the running service posts them, each room's from its earliest on.
"""


class WebhookTest(Event, frozen=True, kw_only=True, rename="camel", tag="webhook.test"):
    """Nothing happened; somebody wants to see whether the webhook works."""


def add(commands: Any, read: Read) -> None:
    """Add the command `webhooks`."""
    parser = commands.add_parser(
        "webhooks",
        help="how webhooks are doing; send again, try one, make a secret",
        description=EXPLAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    shown = verbs.add_parser("list", help="every webhook: what waits, what fails, what is dead")
    again = verbs.add_parser("replay", help="make dead letters due again", description=REPLAYED)
    tried = verbs.add_parser("test", help="post one signed example event, of kind webhook.test")
    for verb, run in ((shown, _list), (again, _replay), (tried, _test)):
        if run is not _list:
            verb.add_argument("name", metavar="NAME", help="the webhook, as its table is called")
            verb.add_argument("--tenant", default="default", help="whose it is (default: %(default)s)")
        verb.add_argument("--dev", action="store_true", help="of the service that `serve --dev` runs")
        verb.add_argument("--json", action="store_true", help="print the result as JSON")
        verb.set_defaults(run=_with_settings(run, read))
    made = verbs.add_parser("secret", help="print a fresh secret, to be put into liveroom.toml")
    made.set_defaults(run=_secret)


def _with_settings(
    run: Callable[[argparse.Namespace, Settings], int], read: Read
) -> Callable[[argparse.Namespace], int]:
    return lambda arguments: run(arguments, read(arguments.dev))


def _secret(_: argparse.Namespace) -> int:
    print(SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode())
    return 0


def _list(arguments: argparse.Namespace, settings: Settings) -> int:
    found = list(_standing(settings, asyncio.run(_backlogs(settings))))
    if arguments.json:
        print(json.encode(found).decode())
        return 0
    if not found:
        print("There are no webhooks; `liveroom webhooks --help` says how to make one.")
    for one in found:
        print(f"{one['tenant']}/{one['name']}  {one['url']}")
        print(f"  kinds    {', '.join(one['kinds']) or 'all'}")
        print(f"  waiting  {_counted(one['waiting'], 'log')}{_since(one['failingSince'])}")
        print(f"  dead     {_counted(one['dead'], 'letter')}")
    return 0


def _standing(settings: Settings, backlogs: Mapping[tuple[str, str], Backlog]) -> Iterator[dict[str, Any]]:
    for tenant in settings.tenants.values():
        listeners = [(name, _harmless(webhook.url), list(webhook.kinds)) for name, webhook in tenant.webhooks.items()]
        if tenant.im_events:
            listeners.append((IM_GROUP, "the IM group of each room", []))
        for name, url, kinds in listeners:
            backlog = backlogs.get((tenant.name, name), Backlog())
            counts = {"waiting": backlog.waiting, "failing": backlog.failing, "failingSince": backlog.failing_since}
            yield {"tenant": tenant.name, "name": name, "url": url, "kinds": kinds, **counts, "dead": backlog.dead}


def _harmless(text: str) -> str:
    """The URL without what may be a secret in it."""
    url = httpx.URL(text)
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _since(failing_since: int) -> str:
    if not failing_since:
        return ""
    return time.strftime(", failing since %Y-%m-%d %H:%M:%S UTC", time.gmtime(failing_since / 1000))


def _replay(arguments: argparse.Namespace, settings: Settings) -> int:
    # Of one that is configured no more nobody would send anything.
    tenant = _tenant(settings, arguments.tenant)
    if arguments.name != IM_GROUP or not tenant.im_events:
        _webhook(tenant, arguments.name)
    number = asyncio.run(_revived(settings, tenant.name, arguments.name))
    if arguments.json:
        print(json.encode({"tenant": tenant.name, "name": arguments.name, "replayed": number}).decode())
    else:
        print(f"{_counted(number, 'dead letter')} of {tenant.name}/{arguments.name} will be sent again.")
    return 0


async def _revived(settings: Settings, tenant: str, name: str) -> int:
    database = await _database(settings)
    try:
        deliveries = SqlDeliveries(database)
        total = (await deliveries.backlogs()).get((tenant, name), Backlog()).dead
        done = 0
        # Those that die meanwhile are left to the next time.
        while done < total and (letters := await deliveries.dead(tenant, name, min(STEP, total - done))):
            await deliveries.revive(letters, int(time.time() * 1000))
            done += len(letters)
            _show_progress(done, total)
        return done
    finally:
        await database.close()


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        filled = BAR * done // total
        end = "\n" if done >= total else ""
        print(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {done}/{total}", end=end, file=sys.stderr, flush=True)


def _test(arguments: argparse.Namespace, settings: Settings) -> int:
    tenant = _tenant(settings, arguments.tenant)
    webhook = _webhook(tenant, arguments.name)
    status, trouble = asyncio.run(_posted(tenant, arguments.name, webhook))
    if arguments.json:
        print(json.encode({"status": status, "trouble": trouble}).decode())
    elif trouble:
        print(f"{tenant.name}/{arguments.name} did not take it: {trouble}.")
    else:
        print(f"{tenant.name}/{arguments.name} took it with HTTP status {status}.")
    return 1 if trouble else 0


async def _posted(tenant: Tenant, name: str, webhook: Webhook) -> tuple[int, str]:
    """The status of the answer (0: there was none), and what is wrong."""
    now = int(time.time() * 1000)
    event = WebhookTest(tenant=tenant.name, id=f"evt_{secrets.token_hex(16)}", at=now)
    told = Told(tenant.name, About.ROOM, "", 0, kind_of(event), now, encoded(event))
    message_id, body = message([told], alone=webhook.max_batch == 1)
    sender = HttpWebhooks()
    try:
        return await sender.post(f"{tenant.name}/{name}", webhook, message_id, now // 1000, body), ""
    except WebhookTrouble as trouble:
        return trouble.status, trouble.detail
    finally:
        await sender.close()


async def _backlogs(settings: Settings) -> Mapping[tuple[str, str], Backlog]:
    database = await _database(settings)
    try:
        return await SqlDeliveries(database).backlogs()
    finally:
        await database.close()


async def _database(settings: Settings) -> Database:
    database = Database(settings.database)
    try:
        await database.ping()
        if await schema.revision(database) != schema.head():
            raise ConfigError("The database is not up to date: run `liveroom migrate` first.")
    except BaseException:
        await database.close()
        raise
    return database


def _tenant(settings: Settings, name: str) -> Tenant:
    if name not in settings.tenants:
        raise ConfigError(f"There is no tenant '{name}', only " + ", ".join(settings.tenants) + ".")
    return settings.tenants[name]


def _webhook(tenant: Tenant, name: str) -> Webhook:
    if name not in tenant.webhooks:
        there = f"only {', '.join(tenant.webhooks)}" if tenant.webhooks else "and no other either"
        raise ConfigError(f"Tenant '{tenant.name}' has no webhook '{name}', {there}; see `liveroom webhooks --help`.")
    return tenant.webhooks[name]
