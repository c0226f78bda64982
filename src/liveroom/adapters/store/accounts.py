"""Accounts in SQL."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Row, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from liveroom.adapters.store.dialect import among
from liveroom.adapters.store.engine import Database, in_steps
from liveroom.adapters.store.errands import leave_errands
from liveroom.adapters.store.outbox import Outbox, next_position, written
from liveroom.adapters.store.sealing import Seal
from liveroom.adapters.store.sessions import end_sessions_of
from liveroom.adapters.store.tables import accounts, ids
from liveroom.events import UserUpdated
from liveroom.model import Account, Credential
from liveroom.ports.accounts import NewAccount, Profile
from liveroom.ports.back_ends import Clock, IdSource
from liveroom.ports.errands import ErrandKind
from liveroom.ports.outbox import Told

_COLUMNS = [accounts.c[name] for name in Account.__struct_fields__]
_BY_ID = select(*_COLUMNS).where(among(accounts.c.tenant, accounts.c.user_id))
# Each name of each tenant: what was not asked for is not looked at.
_BY_USERNAME = select(*_COLUMNS, accounts.c.salt_key, accounts.c.salt).where(
    accounts.c.tenant.in_(bindparam("tenants", expanding=True)),
    accounts.c.username.in_(bindparam("names", expanding=True)),
)
_BY_USERNAME_LOCKED = _BY_USERNAME.with_for_update()
_BY_PHONE = select(*_COLUMNS).where(accounts.c.tenant == bindparam("tenant"), accounts.c.phone == bindparam("phone"))
_ID_TAKEN = select(ids.c.id).where(ids.c.tenant == bindparam("tenant"), ids.c.id == bindparam("id"))
_LOG_END = select(accounts.c.position).where(among(accounts.c.tenant, accounts.c.user_id))
_LOCK = (
    select(accounts.c.tenant, accounts.c.user_id, accounts.c.name, accounts.c.avatar, accounts.c.position)
    .where(among(accounts.c.tenant, accounts.c.user_id))
    .order_by(accounts.c.tenant, accounts.c.user_id)
    .with_for_update()
)

_DELETE = delete(accounts).where(among(accounts.c.tenant, accounts.c.user_id))

Key = tuple[str, str]
# What an IM account shows of an account.
CARRIED_OVER = {"name", "avatar"}


async def lock_accounts(connection: AsyncConnection, keys: Iterable[Key]) -> list[Any]:
    """Lock these accounts, in order; answers name, avatar and the log's end of those that there are."""
    return await in_steps(connection, _LOCK, sorted(set(keys)))


async def claim_id(connection: AsyncConnection, tenant: str, source: IdSource, kind: str, owner: str) -> str:
    """Take an id that is and was nothing else; `owner` "" is the id itself."""
    while True:
        candidate = source()
        if (await connection.execute(_ID_TAKEN, {"tenant": tenant, "id": candidate})).first() is not None:
            continue
        row = {"tenant": tenant, "id": candidate, "kind": kind, "user_id": owner or candidate}
        try:
            async with connection.begin_nested():
                await connection.execute(ids.insert(), row)
        except IntegrityError:
            continue  # drawn elsewhere at the same moment
        return candidate


class SqlAccounts:
    def __init__(self, database: Database, seal: Seal, outbox: Outbox, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._dialect = database.dialect
        self._seal = seal
        self._by_id = database.looked_up(self._read_by_id)
        self._by_username = database.looked_up(self._read_by_username)

    async def register(self, new: NewAccount, salt: str) -> Account | None:
        sealed = self._seal.close(salt, f"{new.tenant}:{new.username}")
        secret = {"salt_key": self._seal.key_id, "salt": sealed}
        return await self._database.write(lambda connection: self._insert(connection, new, secret))

    async def vouch(self, new: NewAccount, profile: Profile) -> tuple[Account, bool]:
        known = await self.credential(new.tenant, new.username)
        if known is not None and known.salt is None and _unchanged(known.account, profile):
            return known.account, False
        account, ended, told = await self._database.write(lambda connection: self._vouch(connection, new, profile))
        self._outbox.hear(told)
        return account, ended

    async def find(self, tenant: str, user_id: str) -> Account | None:
        return await self._by_id((tenant, user_id))

    async def find_by_phone(self, tenant: str, phone: str) -> Account | None:
        rows = await self._database.read(_BY_PHONE, {"tenant": tenant, "phone": phone})
        return Account(*rows[0]) if rows else None

    async def credential(self, tenant: str, username: str) -> Credential | None:
        return await self._by_username((tenant, username))

    async def update(self, tenant: str, user_id: str, profile: Profile) -> bool:
        known = await self.find(tenant, user_id)
        if known is None or _unchanged(known, profile):
            return known is not None

        async def write(connection: AsyncConnection) -> list[Told] | None:
            if not await lock_accounts(connection, [(tenant, user_id)]):
                return None
            return await self._rewrite(connection, tenant, user_id, profile)

        told = await self._database.write(write)
        self._outbox.hear(told or [])
        return told is not None

    async def _insert(self, connection: AsyncConnection, new: NewAccount, facts: dict[str, Any]) -> Account | None:
        taken = await connection.execute(_BY_USERNAME, {"tenants": [new.tenant], "names": [new.username]})
        if taken.first() is not None:
            return None
        try:
            async with connection.begin_nested():
                user_id = await claim_id(connection, new.tenant, new.ids, "account", "")
                account = Account(new.tenant, user_id, new.username, avatar=new.avatar, created_at=new.created_at)
                row = {column.name: getattr(account, column.name) for column in _COLUMNS}
                await connection.execute(accounts.insert(), {**row, **facts})
                await leave_errands(connection, self._dialect, ErrandKind.ACCOUNT, [(new.tenant, user_id)])
        except IntegrityError:
            # Somebody else took the name, or an unlikely id, at the same moment.
            taken = await connection.execute(_BY_USERNAME, {"tenants": [new.tenant], "names": [new.username]})
            if taken.first() is not None:
                return None
            raise
        return account

    async def _vouch(
        self, connection: AsyncConnection, new: NewAccount, profile: Profile
    ) -> tuple[Account, bool, list[Told]]:
        account, ended = await self._insert(connection, new, {}), False
        while account is None:
            known = (
                await connection.execute(_BY_USERNAME_LOCKED, {"tenants": [new.tenant], "names": [new.username]})
            ).first()
            if known is None:  # it went meanwhile
                account = await self._insert(connection, new, {})
                continue
            account, ended = Account(*known[: len(_COLUMNS)]), known.salt_key is not None
            if ended:
                await end_sessions_of(connection, self._database.dialect, [(account.tenant, account.user_id)])
        if ended:
            await self._change(connection, account.tenant, account.user_id, {"salt_key": None, "salt": None})
        told = []
        if not _unchanged(account, profile):
            told = await self._rewrite(connection, account.tenant, account.user_id, profile)
        fresh = await connection.execute(_BY_ID, {"keys": [(account.tenant, account.user_id)]})
        return Account(*fresh.one()), ended, told

    async def _rewrite(self, connection: AsyncConnection, tenant: str, user_id: str, profile: Profile) -> list[Told]:
        """Within a transaction that holds the account: it says something else of itself from now on."""
        key = {"keys": [(tenant, user_id)]}
        account = Account(*(await connection.execute(_BY_ID, key)).one())
        if _unchanged(account, profile):
            return []
        account = replace(account, **_named(profile))
        event = UserUpdated(
            tenant=tenant,
            user_id=user_id,
            name=account.name,
            avatar=account.avatar,
            tag=account.tag,
            tag2=account.tag2,
        )
        position = next_position((await connection.execute(_LOG_END, key)).scalar_one(), event)
        await self._change(connection, tenant, user_id, {**_named(profile), "position": position})
        told = [written(event, user_id, position, self._clock())]
        await self._outbox.write(connection, told)
        return told

    async def _change(self, connection: AsyncConnection, tenant: str, user_id: str, facts: dict[str, Any]) -> None:
        await connection.execute(
            update(accounts).where(accounts.c.tenant == tenant, accounts.c.user_id == user_id).values(**facts)
        )
        if not CARRIED_OVER.isdisjoint(facts):
            await leave_errands(connection, self._dialect, ErrandKind.ACCOUNT, [(tenant, user_id)])

    async def _read_by_id(self, keys: list[Key]) -> list[Account | Exception | None]:
        rows = await self._database.read(_BY_ID, {"keys": list(set(keys))})
        found = {(row.tenant, row.user_id): Account(*row) for row in rows}
        return [found.get(key) for key in keys]

    async def _read_by_username(self, keys: list[Key]) -> list[Credential | Exception | None]:
        tenants, names = ({key[part] for key in keys} for part in (0, 1))
        rows = await self._database.read(_BY_USERNAME, {"tenants": list(tenants), "names": list(names)})
        found = {(row.tenant, row.username): self._credential(row) for row in rows}
        return [found.get(key) for key in keys]

    def _credential(self, row: Row[Any]) -> Credential:
        account = Account(*row[: len(_COLUMNS)])
        if row.salt_key is None:
            return Credential(account, None)
        context = f"{account.tenant}:{account.username}"
        return Credential(account, self._seal.open(row.salt_key, row.salt, context))


def _named(profile: Profile) -> dict[str, str]:
    pairs = ((name, getattr(profile, name)) for name in profile.__struct_fields__)
    return {name: value for name, value in pairs if value is not None}


def _unchanged(account: Account, profile: Profile) -> bool:
    return all(getattr(account, name) == value for name, value in _named(profile).items())


async def delete_accounts(connection: AsyncConnection, dialect: str, keys: list[Key]) -> None:
    """Delete accounts with their credentials and sessions; their ids stay taken."""
    await end_sessions_of(connection, dialect, keys)
    await in_steps(connection, _DELETE, keys)
    await leave_errands(connection, dialect, ErrandKind.ACCOUNT, keys)
