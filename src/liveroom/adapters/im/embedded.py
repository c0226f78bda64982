"""Messaging in the process, without a vendor: for development and tests."""

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from liveroom.model import Tenant

MOST = 100_000
MESSAGES = 1_000


class Profile(Struct):
    """An account as the vendor would keep it."""

    nick: str = ""
    avatar: str = ""
    connected: bool = False


class EmbeddedMessaging:
    name = "im"
    remote = False

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._groups: dict[tuple[str, str], None] = {}
        self._accounts: dict[tuple[str, str], Profile] = {}
        self._messages: deque[tuple[str, str, str]] = deque(maxlen=MESSAGES)

    async def create_group(self, tenant: Tenant, group_id: str) -> None:
        self._groups.setdefault((tenant.name, group_id), None)
        if len(self._groups) > self._most:
            del self._groups[next(iter(self._groups))]

    async def destroy_group(self, tenant: Tenant, group_id: str) -> None:
        self._groups.pop((tenant.name, group_id), None)

    async def import_account(self, tenant: Tenant, user_id: str, nick: str, avatar: str) -> None:
        account = self._account(tenant, user_id)
        account.nick, account.avatar = nick, avatar

    async def delete_account(self, tenant: Tenant, user_id: str) -> None:
        self._accounts.pop((tenant.name, user_id), None)

    async def kick(self, tenant: Tenant, user_id: str) -> None:
        self._account(tenant, user_id).connected = False

    async def notify_group(self, tenant: Tenant, group_id: str, text: str) -> None:
        if (tenant.name, group_id) in self._groups:
            self._messages.append((tenant.name, group_id, text))

    async def groups(self, tenant: Tenant, group_ids: Sequence[str]) -> dict[str, bool]:
        return {group_id: (tenant.name, group_id) in self._groups for group_id in group_ids}

    async def connected(self, tenant: Tenant, user_ids: Sequence[str]) -> dict[str, bool]:
        known = {user_id: self._accounts.get((tenant.name, user_id)) for user_id in user_ids}
        return {user_id: account.connected for user_id, account in known.items() if account is not None}

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return

    def connect(self, tenant: Tenant, user_id: str) -> None:
        """What a client's login would do."""
        self._account(tenant, user_id).connected = True

    def profile(self, tenant: Tenant, user_id: str) -> tuple[str, str] | None:
        """Name and picture of an account, for tests."""
        account = self._accounts.get((tenant.name, user_id))
        return None if account is None else (account.nick, account.avatar)

    def messages(self, tenant: Tenant, group_id: str) -> list[str]:
        """What a group was told last, for tests."""
        return [text for name, group, text in self._messages if (name, group) == (tenant.name, group_id)]

    def _account(self, tenant: Tenant, user_id: str) -> Profile:
        account = self._accounts.setdefault((tenant.name, user_id), Profile())
        if len(self._accounts) > self._most:
            del self._accounts[next(iter(self._accounts))]
        return account
