"""Calls of the IM REST API with all that can be done at once about one that fails."""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from liveroom.adapters.im import codes
from liveroom.adapters.im.codes import Cure
from liveroom.adapters.im.limiter import CallLimiter
from liveroom.adapters.im.rest import DEADLINE_S, Rest
from liveroom.adapters.im.standing import CALLS, Standing
from liveroom.adapters.im.tickets import Tickets
from liveroom.model import Tenant
from liveroom.ports.back_ends import Clock
from liveroom.ports.messaging import MessagingTrouble, Remedy

# With less than the vendor's own time-out left there is no second try.
RETRY_NEEDS_S = 3.0
REST_MS = 60_000
DETAIL = 120
CURABLE = {Cure.RETRY, Cure.SIGN, Cure.IMPORT}

Answer = dict[str, Any]


def top_code(answer: Answer) -> int:
    return int(answer["ErrorCode"])


class Call(Struct, frozen=True):
    """A request; `code` finds the code that counts in its answer, `account` is whom it needs to be known.

    What is to be done `once` is not tried again where it may have been done.
    """

    path: str
    body: Answer
    account: str = ""
    code: Callable[[Answer], int] = top_code
    once: bool = False

    @property
    def command(self) -> str:
        return self.path.rpartition("/")[2]


class Outcome(Struct, frozen=True):
    """How one try ended."""

    cure: Cure
    code: int
    detail: str
    answer: Answer = {}


class Calls:
    def __init__(self, rest: Rest, tickets: Tickets, limiter: CallLimiter, clock: Clock) -> None:
        self._rest = rest
        self._tickets = tickets
        self._limiter = limiter
        self._clock = clock
        self._resting: dict[str, int] = {}
        self.standing = Standing()

    async def make(self, tenant: Tenant, *calls: Call) -> Answer:
        """Make these calls, one after another and all within the deadline; the last one's answer."""
        answer: Answer = {}
        call = calls[0]
        try:
            async with asyncio.timeout(DEADLINE_S) as deadline:
                for call in calls:
                    answer = await self._made(tenant, call, deadline)
        except TimeoutError:
            CALLS.labels(call.command, Cure.RETRY).inc()
            trouble = MessagingTrouble(Remedy.RETRY, 0, f"{call.command}: no answer within {DEADLINE_S:g} s")
            self.standing.in_trouble(tenant, trouble)
            raise trouble from None
        return answer

    async def _made(self, tenant: Tenant, call: Call, deadline: asyncio.Timeout) -> Answer:
        tried: set[Cure] = set()
        while True:
            user_sig = self._tickets.user_sig(tenant)
            outcome = await self._tried(tenant, call, user_sig)
            CALLS.labels(call.command, outcome.cure).inc()
            if outcome.cure is Cure.NONE:
                self.standing.well(tenant)
                return outcome.answer
            if outcome.cure in tried or not self._curable(call, outcome.cure, deadline):
                raise self._trouble(tenant, call, outcome)
            tried.add(outcome.cure)
            if outcome.cure is Cure.SIGN:
                self._tickets.refused(tenant, user_sig)
            elif outcome.cure is Cure.IMPORT:
                await self._made(tenant, importing(call.account), deadline)

    async def _tried(self, tenant: Tenant, call: Call, user_sig: str) -> Outcome:
        if 0 < self._resting.get(tenant.name, 0) - self._clock() <= REST_MS:
            raise MessagingTrouble(Remedy.RETRY, 70050, f"{call.command}: not called, after too many refusals")
        if not await self._limiter.turn(tenant.sdk_app_id, call.command):
            raise MessagingTrouble(Remedy.RETRY, 0, f"{call.command}: too many calls are waiting")
        try:
            answer = await self._rest.post(call.path, tenant.sdk_app_id, tenant.administrator, user_sig, call.body)
        except MessagingTrouble as trouble:
            cure = Cure.RETRY if trouble.remedy is Remedy.RETRY else Cure.CONFIGURE
            return Outcome(cure, trouble.code, f"{call.command}: {trouble}")
        code = call.code(answer)
        said = _harmless(str(answer.get("ErrorInfo", "")), user_sig, tenant.secret)
        return Outcome(codes.cure(call.command, code), code, f"{call.command}: {code} {said}".rstrip(), answer)

    def _curable(self, call: Call, cure: Cure, deadline: asyncio.Timeout) -> bool:
        if call.once and cure is Cure.RETRY:
            return False
        ends = deadline.when() or 0.0
        in_time = ends - asyncio.get_running_loop().time() >= RETRY_NEEDS_S
        return cure in CURABLE and in_time and (cure is not Cure.IMPORT or bool(call.account))

    def _trouble(self, tenant: Tenant, call: Call, outcome: Outcome) -> MessagingTrouble:
        remedy = codes.remedy(outcome.cure)
        if outcome.cure is Cure.REST:
            self._resting[tenant.name] = self._clock() + REST_MS
        if outcome.cure is Cure.IMPORT and not call.account:
            remedy = Remedy.GIVE_UP
        trouble = MessagingTrouble(remedy, outcome.code, outcome.detail)
        self.standing.in_trouble(tenant, trouble)
        return trouble

    async def close(self) -> None:
        await self._rest.close()


def importing(user_id: str, **profile: str) -> Call:
    # Pages since 2022 call the field UserID, those before Identifier; what is not known is ignored.
    body = {"UserID": user_id, "Identifier": user_id, **profile}
    return Call("im_open_login_svc/account_import", body)


def _harmless(text: str, *secrets: str) -> str:
    """What the vendor said, on one short line, in case it repeats what it was sent."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return " ".join(text.split())[:DETAIL]
