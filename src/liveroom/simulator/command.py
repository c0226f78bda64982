"""`liveroom im-simulator`: the command line of the simulator."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from granian.constants import Interfaces, Loops
from granian.server import Server
from msgspec import json

from liveroom.config import Settings
from liveroom.simulator.cloud import AppSpec
from liveroom.simulator.site import VARIABLE, Given
from liveroom.tenancy import ConfigError

# Reads the settings of a dev service with this data folder (None: the default one).
DevSettings = Callable[[str | None], Settings]

EXPLAINED = """\
Run a stand-in for the IM REST API: it checks parameters and UserSigs, keeps accounts and groups in memory,
and answers with the vendor's error codes. Let a service call it:

  liveroom im-simulator --callback http://127.0.0.1:9000/base/v1/callbacks/im
  LIVEROOM_IM=tencent TIM_DOMAIN=http://127.0.0.1:9100 liveroom serve --dev

Both then use the application that `serve --dev` made up, or the one of the settings, so start them in the
same folder.
"""
CALLS = """\
calls of its own, with JSON bodies; sdkAppId may be left out where there is but one application:

  GET    /simulator/state        accounts, groups, webhooks sent, how often each command was called
  POST   /simulator/connect      {"userId": "u1"}: logs in, sends State.StateChange
  POST   /simulator/disconnect   {"userId": "u1", "reason": "LinkClose"}; or TimeOut, Unregister
  POST   /simulator/join         {"groupId": "g1", "userId": "u1"}: sends Group.CallbackAfterNewMemberJoin
  POST   /simulator/exit         {"groupId": "g1", "userId": "u1"}: sends Group.CallbackAfterMemberExit
  POST   /simulator/rate         {"perSecond": 200}: above it 60007; 0: no limit
  POST   /simulator/faults       {"command": "create_group", "code": 10002, "times": 1}
                                 command "*": all; instead of code: "status": 502, "drop": true (no answer),
                                 or "delay_ms": 2000; without times until removed
  DELETE /simulator/faults       removes them

  curl 127.0.0.1:9100/simulator/state
"""


def add(commands: Any, settings: DevSettings) -> None:
    """Add the command `im-simulator`."""
    parser = commands.add_parser(
        "im-simulator",
        help="run a stand-in for the IM REST API, to develop against",
        description=EXPLAINED,
        epilog=CALLS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=9100, help="port to listen on (default %(default)s)")
    known = "an application and its key, may be given several times (default: those of the settings)"
    parser.add_argument("--app", action="append", metavar="SDKAPPID:SECRET", help=known)
    parser.add_argument("--admin", help="administrator of the applications (default: as the settings say)")
    parser.add_argument("--callback", metavar="URL", default="", help="where webhooks go (default: nowhere)")
    signed = "token that signs webhooks (default: as the settings say)"
    parser.add_argument("--callback-token", metavar="TOKEN", help=signed)
    parser.add_argument("--data", metavar="DIR", help="folder of the dev secrets (default ./data)")
    parser.set_defaults(run=lambda arguments: _run(arguments, settings))


def _run(arguments: argparse.Namespace, settings: DevSettings) -> int:
    specs = _given(arguments) if arguments.app else _of_settings(arguments, settings(arguments.data))
    if arguments.callback and not arguments.callback.startswith(("http://", "https://")):
        raise ConfigError("--callback: it has to begin with http:// or https://.")
    os.environ[VARIABLE] = json.encode(Given(specs, arguments.callback)).decode()
    here = f"http://{arguments.host}:{arguments.port}"
    ids = ", ".join(str(spec.sdk_app_id) for spec in specs)
    sys.stdout.write(f"IM simulator on {here} for sdkAppId {ids}\n  a service calls it with TIM_DOMAIN={here}\n")
    sys.stdout.flush()
    Server(
        "liveroom.simulator.site:made",
        address=arguments.host,
        port=arguments.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        factory=True,
        websockets=False,
        log_access=False,
        workers_kill_timeout=2,
    ).serve()
    return 0


def _given(arguments: argparse.Namespace) -> list[AppSpec]:
    administrators = (arguments.admin or "administrator",)
    return [_spec(given, administrators, arguments.callback_token or "") for given in arguments.app]


def _spec(given: str, administrators: tuple[str, ...], token: str) -> AppSpec:
    app_id, _, secret = given.partition(":")
    # The value is not repeated: there is a secret in it.
    if not (app_id.isascii() and app_id.isdigit() and secret):
        raise ConfigError("--app: write SDKAPPID:SECRET, a number and its key.")
    return AppSpec(int(app_id), secret, administrators, token)


def _of_settings(arguments: argparse.Namespace, settings: Settings) -> list[AppSpec]:
    tenants: Sequence[Any] = [tenant for tenant in settings.tenants.values() if tenant.sdk_app_id and tenant.secret]
    specs: dict[int, AppSpec] = {}
    for tenant in tenants:
        administrator = arguments.admin or tenant.administrator
        token = tenant.im_callback_token if arguments.callback_token is None else arguments.callback_token
        specs[tenant.sdk_app_id] = AppSpec(tenant.sdk_app_id, tenant.secret, (administrator,), token)
    return list(specs.values())
