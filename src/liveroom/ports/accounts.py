"""Accounts and what proves them."""

from typing import Protocol

from msgspec import Struct

from liveroom.model import Account, Credential
from liveroom.ports.back_ends import IdSource


class Profile(Struct, frozen=True):
    """What to change of an account; None leaves a field as it is."""

    name: str | None = None
    avatar: str | None = None
    tag: str | None = None
    tag2: str | None = None


class NewAccount(Struct, frozen=True):
    """An account to be made. `ids` is drawn from until an id is free."""

    tenant: str
    username: str
    ids: IdSource
    avatar: str
    created_at: int


class AccountStore(Protocol):
    """Accounts and what proves them. Usernames and ids compare byte for byte."""

    async def register(self, new: NewAccount, salt: str) -> Account | None:
        """Make an account with a salt, encrypted at rest. None: the username is taken."""

    async def vouch(self, new: NewAccount, profile: Profile) -> tuple[Account, bool]:
        """The account of this username, made on first sight, with `profile` applied.

        A salt that it had is deleted, and its sessions end with it; the flag says whether that was so.
        """

    async def find(self, tenant: str, user_id: str) -> Account | None:
        """The account of this id."""

    async def find_by_phone(self, tenant: str, phone: str) -> Account | None:
        """The account of this phone number, in E.164 form."""

    async def credential(self, tenant: str, username: str) -> Credential | None:
        """What proves this username."""

    async def update(self, tenant: str, user_id: str, profile: Profile) -> bool:
        """Change an account. False: there is none."""
