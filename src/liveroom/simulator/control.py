"""The simulator's own calls, under /simulator: faults, state, and what clients of the SDK would do."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from liveroom.simulator.checks import Fault
from liveroom.simulator.cloud import Account, App, Cloud
from liveroom.simulator.faults import Faults, OrderedFault
from liveroom.simulator.groups import LIVE
from liveroom.simulator.webhooks import Webhooks, now_ms, state_change

# Why a client is gone, and which action the vendor tells with it.
REASONS = {"LinkClose": "Disconnect", "TimeOut": "Disconnect", "Unregister": "Logout"}
Reply = dict[str, Any]


class Rate(Struct, forbid_unknown_fields=True, rename="camel"):
    """How many calls of a command of an application a second has room for; 0: as many as come."""

    per_second: Annotated[int, Meta(ge=0)]


class ClientAct(Struct, forbid_unknown_fields=True, rename="camel"):
    """What a client does; the application may be left out where there is but one."""

    user_id: Annotated[str, Meta(min_length=1, max_length=32)]
    sdk_app_id: int = 0
    group_id: str = ""
    reason: str = ""
    platform: str = "Android"


class Control:
    def __init__(self, cloud: Cloud, faults: Faults, webhooks: Webhooks) -> None:
        self._cloud = cloud
        self._faults = faults
        self._webhooks = webhooks
        self.rate = 0
        acts: dict[str, Callable[[App, ClientAct], Awaitable[Reply]]] = {
            "connect": self._connect,
            "disconnect": self._disconnect,
            "join": self._join,
            "exit": self._exit,
        }
        self._acts = acts

    async def answer(self, request: Request, name: str) -> Response:
        """Answer one of these calls; 404 for what is none, 400 with the reason for a wrong body."""
        try:
            reply = await self._reply(name, request.method, await request.body())
        except (msgspec.DecodeError, UnicodeDecodeError, Fault) as error:
            return _json({"error": str(error)}, 400)
        return _json({"error": "no such call"}, 404) if reply is None else _json(reply)

    async def _reply(self, name: str, method: str, content: bytes) -> Reply | None:
        if (name, method) == ("state", "GET"):
            faults = {"faults": self._faults.ordered, "perSecond": self.rate}
            return self._cloud.state() | faults | {"webhooks": list(self._webhooks.sent)}
        if (name, method) == ("faults", "POST"):
            self._faults.order(msgspec.json.decode(content, type=OrderedFault))
            return {}
        if (name, method) == ("faults", "DELETE"):
            self._faults.ordered.clear()
            return {}
        if (name, method) == ("rate", "POST"):
            self.rate = msgspec.json.decode(content, type=Rate).per_second
            return {}
        if name in self._acts and method == "POST":
            act = msgspec.json.decode(content, type=ClientAct)
            return await self._acts[name](self._app(act.sdk_app_id), act)
        return None

    def _app(self, sdk_app_id: int) -> App:
        apps = self._cloud.apps
        if not sdk_app_id and len(apps) == 1:
            return next(iter(apps.values()))
        if sdk_app_id not in apps:
            raise Fault(0, "sdkAppId: no such application")
        return apps[sdk_app_id]

    async def _connect(self, app: App, act: ClientAct) -> Reply:
        # A login with a good UserSig makes the account.
        account = app.accounts.setdefault(act.user_id, Account(act.user_id))
        account.status, account.platform = "Online", act.platform
        return await self._tell(app, "State.StateChange", act, state_change(act.user_id, "Login", "Register"))

    async def _disconnect(self, app: App, act: ClientAct) -> Reply:
        reason = act.reason or "LinkClose"
        if reason not in REASONS:
            raise Fault(0, f"reason: one of {', '.join(REASONS)}")
        if act.user_id not in app.accounts:
            raise Fault(0, "userId: no such account")
        # Phones still get pushed messages after they lost the connection.
        pushed = reason != "Unregister" and act.platform in ("Android", "iOS")
        app.accounts[act.user_id].status = "PushOnline" if pushed else "Offline"
        body = state_change(act.user_id, REASONS[reason], reason)
        return await self._tell(app, "State.StateChange", act, body)

    async def _join(self, app: App, act: ClientAct) -> Reply:
        group = app.groups.get(act.group_id)
        if group is None:
            raise Fault(10010, "groupId: no such group")
        group.members[act.user_id] = None
        body = {"JoinType": "Apply", "NewMemberList": [{"Member_Account": act.user_id}]}
        return await self._tell(app, "Group.CallbackAfterNewMemberJoin", act, _of_group(act, group.type) | body)

    async def _exit(self, app: App, act: ClientAct) -> Reply:
        group = app.groups.get(act.group_id)
        if group is not None:
            group.members.pop(act.user_id, None)
        body = {"ExitType": "Quit", "ExitMemberList": [{"Member_Account": act.user_id}]}
        kind = group.type if group else LIVE
        return await self._tell(app, "Group.CallbackAfterMemberExit", act, _of_group(act, kind) | body)

    async def _tell(self, app: App, command: str, act: ClientAct, body: dict[str, Any]) -> Reply:
        return {"webhookStatus": await self._webhooks.send(app, command, act.platform, body)}


def _of_group(act: ClientAct, kind: str) -> dict[str, Any]:
    facts = {"GroupId": act.group_id, "Type": kind, "Operator_Account": act.user_id, "EventTime": now_ms()}
    return dict(facts)


def _json(reply: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(reply), status, media_type="application/json")
