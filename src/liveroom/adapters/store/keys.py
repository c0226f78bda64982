"""Which data keys ever sealed a salt here, so that a wrong one is noticed at the start."""

from sqlalchemy import select

from liveroom.adapters.store.dialect import upsert
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.sealing import Seal, WrongDataKey
from liveroom.adapters.store.tables import canaries

_WORD = "canary"


async def check_data_keys(database: Database, seal: Seal) -> None:
    """Open the canary of every key in use, and leave one for the key that seals now.

    Raises `WrongDataKey`: salts were sealed with a key that was not given, and their owners would be
    locked out.
    """
    rows = await database.read(select(canaries.c.salt_key, canaries.c.sealed))
    for key_id, sealed in rows:
        if seal.open(key_id, sealed, _WORD) != _WORD:
            raise WrongDataKey(key_id)
    if seal.key_id not in {key_id for key_id, _ in rows}:
        row = {"salt_key": seal.key_id, "sealed": seal.close(_WORD, _WORD)}
        await database.write(lambda connection: connection.execute(upsert(database.dialect, canaries, []), row))
