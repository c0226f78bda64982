"""The instant messaging that rooms have beside them: groups, accounts, who is connected."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from liveroom.model import Tenant


class Remedy(StrEnum):
    """What a failed call asks for."""

    RETRY = "retry"
    CONFIGURE = "configure"
    GIVE_UP = "give up"


class MessagingTrouble(Exception):  # noqa: N818 - told as trouble, never raised to a caller
    """A call that did not do what it should; `code` is the vendor's (0: it was not reached)."""

    def __init__(self, remedy: Remedy, code: int, detail: str) -> None:
        super().__init__(detail)
        self.remedy = remedy
        self.code = code


class Messaging(Protocol):
    """Every verb answers within 6 s and may raise `MessagingTrouble`, nothing else.

    All but `notify_group` are idempotent.
    """

    name: str
    # Whether there is a vendor whose knowledge may differ from ours.
    remote: bool

    async def create_group(self, tenant: Tenant, group_id: str) -> None:
        """Make the room's group (an AVChatRoom); one that is there is success."""

    async def destroy_group(self, tenant: Tenant, group_id: str) -> None:
        """Dismiss the group; one that is not there is success."""

    async def import_account(self, tenant: Tenant, user_id: str, nick: str, avatar: str) -> None:
        """Make the account, if it is not there, with this name and picture."""

    async def delete_account(self, tenant: Tenant, user_id: str) -> None:
        """Delete the account; one that is not there is success."""

    async def kick(self, tenant: Tenant, user_id: str) -> None:
        """End the account's connections; UserSigs made before connect no more."""

    async def notify_group(self, tenant: Tenant, group_id: str, text: str) -> None:
        """Tell everybody in the group this text, of at most 8 KiB; a group that is not there is success.

        Never tried twice here, but what made trouble may have been told: again is at least once.
        """

    async def groups(self, tenant: Tenant, group_ids: Sequence[str]) -> dict[str, bool]:
        """Whether each group (at most 50) is there; one that the vendor could not tell is not named."""

    async def connected(self, tenant: Tenant, user_ids: Sequence[str]) -> dict[str, bool]:
        """Whether each account (at most 500) is connected; one that the vendor does not know is not named."""

    async def ping(self) -> None:
        """Answer while it is not known to be in trouble; raises `MessagingTrouble`."""

    async def close(self) -> None:
        """Give back the connections."""
